// Planted joins, leaves and lists: what is missing, twice, out of order or skipped is found, and what is right is not blamed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { isPresenceClean, PresenceJudge, type PresenceVerdict } from './presence-judge.ts';
import type { EngineKeeps } from './judge.ts';

/** `+a`, `-a`: told at the next place; `a b`: a list that was asked for just before; `gap`: 10 are skipped; `epoch`: another one begins. */
function judged(story: readonly string[], keeps: EngineKeeps = 'all', from = 0): PresenceVerdict {
  const judge = new PresenceJudge(keeps);
  let [epoch, offset, after] = ['e', from, 0];
  judge.hear({ kind: 'followed', follower: 1, position: { epoch, offset } });
  for (const word of story) {
    if (word === 'gap') after++;
    if (word === 'end') judge.hear({ kind: 'ended', follower: 1 });
    else if (word === 'gap') judge.hear({ kind: 'gap', follower: 1, position: { epoch, offset: (offset += 10) } });
    else if (word === 'epoch') epoch += 'e';
    else if (word === 'skip') offset++;
    else if (word === 'back') offset--;
    else if (/^[+-]/.test(word)) {
      after++;
      judge.hear({ kind: 'told', follower: 1, position: { epoch, offset: ++offset }, client: word.slice(1), isHere: word.startsWith('+') });
    } else judge.hear({ kind: 'listed', follower: 1, names: word.split(' ').filter((name) => name !== ''), after });
  }
  return judge.verdict();
}

const none = { contradictions: 0, outOfOrder: 0, silentGaps: 0, strayLists: 0 };
function faults({ contradictions, outOfOrder, silentGaps, strayLists }: PresenceVerdict): object {
  return { contradictions, outOfOrder, silentGaps, strayLists };
}

describe('joins and leaves', () => {
  test('that lead from list to list are clean, also where a list comes before what it says was told', () => {
    const verdict = judged(['', '+a', 'a b', '+b', 'a b', '-a', 'b', '', '-b', '']);
    assert.deepEqual(faults(verdict), none);
    assert.ok(isPresenceClean(verdict));
    assert.deepEqual([verdict.told, verdict.lists, verdict.firstFault], [4, 6, null]);
  });

  test('of which one is missing are found by the list, or by what the next one says', () => {
    assert.deepEqual(faults(judged(['+a', 'a b'])), { ...none, strayLists: 1 });
    assert.deepEqual(faults(judged(['+a', '+b', 'a'])), { ...none, strayLists: 1 });
    assert.deepEqual(faults(judged(['-a'])), { ...none, contradictions: 1 });
    assert.deepEqual(faults(judged(['+a', '+a', 'a'])), { ...none, contradictions: 1 });
    assert.match(judged(['+a', 'a b']).firstFault ?? '', /list 1, asked for after 1 .* nearest after 1, with \+b$/);
  });

  test('that are told twice are found', () => {
    assert.deepEqual(faults(judged(['+a', '-a', '-a', ''])), { ...none, contradictions: 1 });
    assert.deepEqual(faults(judged(['+a', 'back', '+a', 'a'])), { ...none, contradictions: 1, outOfOrder: 1 });
  });

  test('in another order than the lists are found', () => {
    assert.deepEqual(faults(judged(['b', '+a', '+b', 'a b'])), { ...none, strayLists: 1 });
    assert.deepEqual(faults(judged(['+a', 'a b', 'a', '+b'])), { ...none, strayLists: 1 }, 'a list older than the one before');
    assert.deepEqual(faults(judged(['+a', '-a', 'a'])), { ...none, strayLists: 1 }, 'a list older than the question');
  });

  test('that skip a place are found, unless a gap is told', () => {
    assert.deepEqual(faults(judged(['+a', 'skip', '-a'])), { ...none, silentGaps: 1 });
    assert.deepEqual(faults(judged(['+a', 'gap', '+a', 'a'])), none);
  });

  test('that differ from what others were told at that place are found', () => {
    const judge = new PresenceJudge();
    for (const [follower, client] of ['a', 'b', 'a'].entries()) {
      judge.hear({ kind: 'followed', follower, position: { epoch: 'e', offset: 0 } });
      judge.hear({ kind: 'told', follower, position: { epoch: 'e', offset: 1 }, client, isHere: true });
    }
    assert.deepEqual(faults(judge.verdict()), { ...none, outOfOrder: 1 });
  });
});

describe('after a gap', () => {
  test('the lists say who is there, and what is told must lead on from them', () => {
    assert.deepEqual(faults(judged(['+a', 'gap', 'b c', '+a', '-b', 'a c'])), none);
    assert.deepEqual(faults(judged(['gap', 'b c', '+a', 'a b'])), { ...none, strayLists: 1 });
    assert.deepEqual(faults(judged(['gap', '-b', '-b'])), { ...none, contradictions: 1 });
    assert.deepEqual(faults(judged(['b', '+a', 'a b', 'b'], 'all', 7)), { ...none, strayLists: 1 }, 'as after one that was before');
  });

  test('the last lists before it may be of what it hides, but none before one that is known', () => {
    const verdict = judged(['+a', 'a', 'x y', 'z', 'gap', 'q']);
    assert.deepEqual(faults(verdict), none);
    assert.equal(verdict.unknownLists, 2);
    assert.deepEqual(faults(judged(['+a', 'x y', 'a', 'gap'])), { ...none, strayLists: 1 });
    assert.deepEqual(faults(judged(['+a', 'a', 'a b', 'end'])), none, 'nor are they told of what follows who end');
    assert.deepEqual(faults(judged(['+a', 'b', 'a', 'end'])), { ...none, strayLists: 1 });
    const judge = new PresenceJudge();
    const position = { epoch: 'e', offset: 5 };
    judge.hear({ kind: 'followed', follower: 1, position });
    judge.hear({ kind: 'gap', follower: 1, position });
    for (const after of [0, 1]) judge.hear({ kind: 'listed', follower: 1, names: after === 0 ? ['old'] : ['a'], after });
    assert.deepEqual([judge.verdict().strayLists, judge.verdict().unknownLists], [0, 1], 'asked for before the gap, answered after it');
  });

  test('an engine that keeps all goes on where another epoch begins; else who is there is not known', () => {
    const story = ['+a', 'a', 'epoch', '+a', 'a'];
    assert.deepEqual(faults(judged(story)), { ...none, contradictions: 1 });
    assert.deepEqual(faults(judged(story, 'not all')), none);
  });
});

test('whatever happens is right as it happened, and wrong with one of it left out that a list is about', () => {
  const step = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c', 'd') }, { weight: 1, arbitrary: fc.constant('list') });
  always(fc.array(step, { maxLength: 40 }), (steps) => {
    const here = new Set<string>();
    const story = steps.map((name) => {
      if (name === 'list') return [...here].join(' ');
      const isThere = here.delete(name);
      if (!isThere) here.add(name);
      return `${isThere ? '-' : '+'}${name}`;
    });
    assert.ok(isPresenceClean(judged([...story, [...here].join(' ')])));
    const told = story.findIndex((word) => /^[+-]/.test(word));
    if (told >= 0) assert.ok(!isPresenceClean(judged([...story.filter((_, index) => index !== told), [...here].join(' ')])));
  });
});
