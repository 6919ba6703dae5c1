// Numbers from the command line, in their order; the usual one where none is given.
export function numbersFrom(given: readonly string[], usual: readonly number[]): number[] {
  return usual.map((number, i) => {
    if (given[i] === undefined) return number;
    const wanted = Number(given[i].replaceAll('_', ''));
    if (Number.isInteger(wanted) && wanted > 0) return wanted;
    console.error(`argument ${i + 1} must be a positive whole number, got ${given[i]}`);
    return process.exit(2);
  });
}
