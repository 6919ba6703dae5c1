// The real HTTP client, for the few places that call other people's servers.

export const realFetch: typeof globalThis.fetch = (input, init) => globalThis.fetch(input, init);
