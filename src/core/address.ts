// How a host and a port are shown: IPv6 in brackets, as in URLs.

export const showAddress = ({ host, port }: { readonly host: string; readonly port: number }): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;
