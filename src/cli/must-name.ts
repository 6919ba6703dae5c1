// Refuses words that lead to no command. Commander by itself shows the whole help for them, or with --help even exits with 0.
import type { Command } from 'commander';
import { badFlag } from './arguments.ts';

/** Throws EVENKEEL_BAD_OPTION where `words` do not lead from `group` to a command. Flags of a group are commander's business. */
export function mustName(group: Command, [word = '', ...rest]: readonly string[], path: string = group.name()): void {
  if (group.commands.length === 0 || isFlag(word)) return;
  if (word !== 'help') mustName(find(group, word, path), rest, `${path} ${word}`);
  else if (rest.length > 0 && !isFlag(rest[0])) find(group, rest[0], path);
}

function find(group: Command, word: string, path: string): Command {
  const command = group.commands.find((one) => one.name() === word);
  if (command !== undefined) return command;
  const known = group.commands.map((one) => one.name()).join(', ');
  throw badFlag(path, `followed by one of ${known}, or --help`, word);
}

const isFlag = (word: string): boolean => word.startsWith('-') && word !== '--' && word !== '-';
