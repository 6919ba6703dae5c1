// Numbers from the command line, in their order; the usual one where none is given.
export function numbersFrom(given: readonly (string | undefined)[], usual: readonly number[]): number[] {
  return usual.map((number, i) => {
    const text = given[i];
    if (text === undefined) return number;
    const wanted = Number(text.replaceAll('_', ''));
    if (Number.isInteger(wanted) && wanted > 0) return wanted;
    console.error(`argument ${i + 1} must be a positive whole number, got ${text}`);
    return process.exit(2);
  });
}
