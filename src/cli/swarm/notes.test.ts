// What was noted in one process is what the judge hears in another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Judge } from '../../judge/judge.ts';
import { Notebook, readNotes } from './notes.ts';

test('the judge hears from notes what it would have heard itself', () => {
  const [first, second] = [new Notebook(), new Notebook()];
  for (const [subscriber, notebook] of [first, second].entries()) notebook.subscribe(3, subscriber, { epoch: 'run a', offset: 10 });
  for (const number of [1, 2, 3, 4]) first.send(3, 9, number);
  for (const number of [1, 2]) first.settle(3, 9, { number, outcome: 'acknowledged' });
  first.settle(3, 9, { number: 3, outcome: 'undecided' });
  first.settle(3, 9, { number: 4, outcome: 'refused' });
  first.deliver(3, 0, { place: { epoch: 'run a', offset: 11 }, publisher: 9, number: 1 });
  first.deliver(3, 0, { place: { epoch: 'run a', offset: 12 }, publisher: 9, number: 2 });
  second.gap(3, 1, { epoch: 'run a', offset: 11 });
  // An epoch has the same number in both: else this would stand at another place than the first one saw it at.
  second.deliver(3, 1, { place: { epoch: 'run a', offset: 12 }, publisher: 9, number: 1 });
  second.unsubscribe(3, 1);
  const judge = new Judge();
  readNotes(first.take(), judge);
  readNotes(second.take(), judge);
  assert.equal(first.take().length, 0);
  const { firstFault, ...counts } = judge.verdict();
  assert.deepEqual(
    Object.entries(counts).filter(([, count]) => count !== 0),
    Object.entries({ sent: 4, acknowledged: 2, undecided: 1, refused: 1, delivered: 3, gaps: 1, lost: 1, outOfOrder: 1 }),
  );
  assert.match(firstFault ?? '', /message 1 of publisher 9 at \d+\/12: where others saw another one/);
});
