// Reads the values of flags. What is refused is told in one line that names the flag, the rule and the value.
import { Option } from 'commander';
import { EvenkeelError } from '../core/errors.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

export function wholeNumber(flag: string, range: Range): (text: string) => number {
  return (text) => {
    const value = Number(text);
    const fits = /^\d+$/.test(text) && value >= range.min && value <= range.max;
    if (!fits) throw badFlag(flag, `a whole number from ${range.min} to ${range.max}`, text);
    return value;
  };
}

export function positiveNumber(flag: string, range: Range): (text: string) => number {
  return (text) => {
    const value = Number(text);
    const fits = /^(\d+\.?\d*|\.\d+)$/.test(text) && value >= range.min && value <= range.max;
    if (!fits) throw badFlag(flag, `a number from ${range.min} to ${range.max}`, text);
    return value;
  };
}

/** A flag that takes one of a few words. `description` is for `--help`. */
export function oneOf(flag: string, choices: readonly string[], description: string): Option {
  const name = flag.split(' ')[0];
  const parse = (text: string): string => {
    if (!choices.includes(text)) throw badFlag(name, `one of ${choices.join(', ')}`, text);
    return text;
  };
  return new Option(flag, `${description} (${choices.join(', ')})`).argParser(parse);
}

export function badFlag(flag: string, rule: string, value: string): EvenkeelError {
  return new EvenkeelError('EVENKEEL_BAD_OPTION', `${flag} must be ${rule}, got ${value === '' ? 'nothing' : value}`);
}
