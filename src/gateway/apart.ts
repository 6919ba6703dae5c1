// A text of its own: one that was cut out of a longer text keeps the whole of that in memory, for as long as it is kept itself.

export const apart = (text: string): string => Buffer.from(text).toString();
