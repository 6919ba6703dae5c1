// What arrives, in what order, and what becomes of what the application says: positions, gaps, numbers, acks, requests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Gap } from '../../src/client/streams.ts';
import type { ClientFrame } from '../../src/protocol/frames.ts';
import { formed, inEachForm, protobuf, publication, type Stage, welcomeFrame } from './stage.ts';

const at = (offset: number, epoch = 'e1') => ({ epoch, offset });
const numbers = (frames: readonly ClientFrame[]) => frames.map((frame) => (frame.type === 'publish' ? `${frame.topic}${frame.number}` : frame.type));
const quiet = (promise: Promise<unknown>): void => void promise.catch(() => {});

/** A connected client on topic `a`, with what it hears. */
function listening(played: typeof Stage, topic = 'a') {
  const stage = played.open();
  const heard: unknown[] = [];
  const gaps: Gap[] = [];
  const subscription = stage.client.subscribe(topic, {}, ({ value }) => heard.push(value));
  stage.client.onGap((gap) => gaps.push(gap));
  stage.link.say({ type: 'subscribed', topic, position: at(0) });
  stage.link.sent();
  return { stage, heard, gaps, subscription };
}

inEachForm('a stream', (Stage) => {
  test('is delivered in order, and what came before is dropped', () => {
    const { stage, heard, subscription } = listening(Stage);
    stage.link.say(publication('a', 1), publication('a', 2), publication('a', 1), publication('a', 2), publication('a', 3));
    assert.deepEqual(heard, [1, 2, 3]);
    assert.deepEqual(subscription.position, at(3));
    assert.equal(subscription.state.kind, 'live');
  });

  test('goes on over a change of epoch without a hole, and asks again once for one that leaves a hole', () => {
    const { stage, heard } = listening(Stage);
    stage.link.say(publication('a', 1), publication('a', 2, 'e2'), publication('a', 4, 'e2'), publication('a', 5, 'e2'));
    assert.deepEqual(stage.link.sent(), [{ type: 'subscribe', topic: 'a', start: { after: at(2, 'e2') } }]);
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(2, 'e2') }, publication('a', 3, 'e2'), publication('a', 4, 'e2'));
    assert.deepEqual(heard, [1, 2, 3, 4]);
  });

  test('never skips silently: a gap is told, also one that goes back after a loss', () => {
    const { stage, heard, gaps } = listening(Stage);
    stage.link.say(publication('a', 1), { type: 'gap', topic: 'a', position: at(5) }, publication('a', 6));
    stage.link.say({ type: 'gap', topic: 'a', position: at(4, 'e2') }, publication('a', 5, 'e2'));
    // Where the client stands already.
    stage.link.say({ type: 'gap', topic: 'a', position: at(3, 'e2') }, publication('a', 6, 'e2'));
    assert.deepEqual(heard, [1, 6, 5, 6]);
    assert.deepEqual(gaps, [
      { topic: 'a', from: at(1), to: at(5) },
      { topic: 'a', from: at(6), to: at(4, 'e2') },
    ]);
  });

  test('asks for what lies between when the answer to an older question begins beyond its position', () => {
    const { stage, heard, gaps } = listening(Stage);
    stage.link.say(publication('a', 1), { type: 'subscribed', topic: 'a', position: at(9) }, publication('a', 10));
    assert.deepEqual(stage.link.sent(), [{ type: 'subscribe', topic: 'a', start: { after: at(1) } }]);
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(1) }, publication('a', 2), publication('a', 3));
    assert.deepEqual(heard, [1, 2, 3]);
    assert.deepEqual(gaps, []);
  });

  test('begins with the history that was asked for, or after a position that was kept', () => {
    const stage = Stage.open();
    stage.client.subscribe('a', { history: 5 });
    stage.client.subscribe('b', { after: at(7) });
    assert.deepEqual(stage.link.sent(), [
      { type: 'subscribe', topic: 'a', start: { history: 5 } },
      { type: 'subscribe', topic: 'b', start: { after: at(7) } },
    ]);
    stage.link.break();
    stage.nextLink();
    const { subscriptions } = stage.link.welcome({ resumed: true });
    assert.deepEqual(subscriptions, [{ topic: 'b', after: at(7) }]);
    assert.deepEqual(stage.link.sent(), [{ type: 'subscribe', topic: 'a', start: { history: 5 } }]);
  });
});

inEachForm('a subscription', (Stage) => {
  test('shares the stream of others to the same topic, which is left with the last of them', () => {
    const { stage, heard, subscription } = listening(Stage);
    const other = stage.client.subscribe('a', {}, ({ value }) => heard.push(`other ${String(value)}`));
    assert.deepEqual(stage.link.sent(), []);
    stage.link.say(publication('a', 1));
    subscription.stop();
    stage.link.say(publication('a', 2));
    assert.deepEqual(heard, [1, 'other 1', 'other 2']);
    other.stop();
    other.stop();
    assert.deepEqual(stage.link.sent(), [{ type: 'unsubscribe', topic: 'a' }]);
    assert.equal(subscription.state.kind, 'ended');
  });

  test('after one that was stopped hears nothing that was meant for that one', () => {
    const { stage, subscription } = listening(Stage);
    subscription.stop();
    const heard: unknown[] = [];
    const again = stage.client.subscribe('a', { history: 2 }, ({ value }) => heard.push(value));
    stage.link.say(publication('a', 1), publication('a', 2), { type: 'unsubscribed', topic: 'a', code: 200, message: '' });
    assert.equal(again.state.kind, 'asking');
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(0) }, publication('a', 1), publication('a', 2));
    assert.deepEqual(heard, [1, 2]);
  });

  test('that ends between a hello and its welcome is left on that link, too', () => {
    const { stage, subscription } = listening(Stage);
    stage.link.break();
    stage.nextLink();
    stage.link.events.opened();
    subscription.stop();
    const heard: unknown[] = [];
    stage.link.sent();
    stage.link.say(welcomeFrame({ resumed: true }));
    assert.deepEqual(stage.link.sent(), [{ type: 'unsubscribe', topic: 'a' }]);
    stage.client.subscribe('a', {}, ({ value }) => heard.push(value));
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(0) }, publication('a', 1), { type: 'unsubscribed', topic: 'a', code: 200, message: '' });
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(1) }, publication('a', 2));
    assert.deepEqual(heard, [2]);
  });

  test('that the server ends says why, and is not asked for again', () => {
    const { stage, subscription } = listening(Stage);
    stage.link.say({ type: 'unsubscribed', topic: 'a', code: 403, message: 'no' });
    assert.deepEqual(subscription.state, { kind: 'ended', code: 403, reason: 'no' });
    stage.link.break();
    stage.nextLink();
    assert.deepEqual(stage.link.welcome({ resumed: true }).subscriptions, []);
    assert.deepEqual(stage.link.sent(), []);
    assert.equal(stage.client.subscribe('a').state.kind, 'asking');
  });

  test('to the inbox and to everybody comes by itself, and goes on over links', () => {
    const stage = Stage.open();
    const heard: unknown[] = [];
    stage.client.inbox.onMessage(({ value }) => heard.push(value));
    stage.link.say({ type: 'subscribed', topic: '@inbox', position: at(3) }, publication('@inbox', 4));
    stage.link.break();
    stage.nextLink();
    assert.deepEqual(stage.link.welcome({ resumed: true }).subscriptions, [{ topic: '@inbox', after: at(4) }]);
    assert.deepEqual([stage.link.sent(), heard], [[], [4]]);
  });

  test('with which the client is seen says so on every link; who is there is asked once, and again on a new link', async () => {
    const stage = Stage.open();
    stage.client.subscribe('a', { presence: true });
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(0) });
    const answers = Promise.all([stage.client.presence('a'), stage.client.presence('a')]);
    const refused = stage.client.presence('b');
    assert.deepEqual(
      stage.link.sent().map(({ type }) => type),
      ['subscribe', 'presence', 'presence'],
    );
    stage.link.break();
    stage.nextLink();
    assert.deepEqual(stage.link.welcome({ resumed: true }).subscriptions, [{ topic: 'a', after: at(0), presence: true }]);
    assert.deepEqual(stage.link.sent(), [
      { type: 'presence', topic: 'a' },
      { type: 'presence', topic: 'b' },
    ]);
    stage.link.say({ type: 'present', topic: 'a', members: [{ client: 'c1', user: null }] }, { type: 'unsubscribed', topic: 'b', code: 403, message: 'no' });
    assert.deepEqual((await answers)[1], [{ client: 'c1', user: null }]);
    await assert.rejects(refused, { code: 'refused', status: 403 });
  });

  test('gets bytes as bytes', () => {
    const { stage, heard } = listening(Stage);
    stage.link.say({ type: 'publication', topic: 'a', epoch: 'e1', offset: 1, payload: { bytes: Uint8Array.of(1, 2) } }, publication('a', 2));
    assert.deepEqual(heard, [Uint8Array.of(1, 2), 2]);
  });
});

inEachForm('what is refused', (Stage) => {
  test('rejects with the code, is answered with lost, and leaves the others alone', async () => {
    const stage = Stage.open();
    const lost: unknown[] = [];
    stage.client.onLost((what) => lost.push(what));
    const refused = stage.client.publish('a', 1);
    const next = stage.client.publish('a', 2);
    stage.link.sent();
    stage.link.say({ type: 'refused', topic: 'a', number: 1, code: 403, message: 'no' });
    await assert.rejects(refused, { code: 'refused', status: 403 });
    assert.deepEqual(stage.link.sent(), [{ type: 'lost', topic: 'a', from: 1, to: 1 }]);
    // The node may have missed the number before it heard that.
    stage.link.say({ type: 'expected', topic: 'a', number: 1 });
    assert.deepEqual(numbers(stage.link.sent()), ['lost', 'a2']);
    stage.link.break();
    stage.nextLink();
    stage.link.welcome({ resumed: true, numbers: [] });
    assert.deepEqual(numbers(stage.link.sent()), ['lost', 'a2']);
    stage.link.say({ type: 'ack', topic: 'a', number: 2 });
    await next;
    stage.link.say({ type: 'expected', topic: 'a', number: 3 });
    assert.deepEqual(stage.link.sent(), []);
    assert.deepEqual(lost, [], 'the application heard of it as refused');
  });

  test('on a link that another has replaced is not decided, as the new node says it again', async () => {
    const stage = Stage.open();
    const published = stage.client.publish('a', 1);
    const old = stage.link;
    old.say({ type: 'move', url: 'ws://b/', ticket: 'k', withinMs: 5_000 });
    stage.nextLink();
    stage.link.welcome({ resumed: true, numbers: [] });
    old.say({ type: 'refused', topic: 'a', number: 1, code: 403, message: 'no' });
    stage.link.say({ type: 'ack', topic: 'a', number: 1 });
    await published;
  });

  test('is not undecided when the session is over after that, and gives its room back once', async () => {
    const stage = Stage.open([], { outboxMessages: 1 });
    const told: unknown[] = [];
    stage.client.onUndecided((what) => told.push(what));
    const refused = stage.client.publish('a', 1);
    stage.link.say({ type: 'refused', topic: 'a', number: 1, code: 403, message: 'no' });
    await assert.rejects(refused, { code: 'refused' });
    stage.link.break();
    stage.nextLink();
    stage.link.welcome({ resumed: false });
    assert.deepEqual(told, []);
    quiet(stage.client.publish('a', 2));
    await assert.rejects(stage.client.publish('a', 3), { code: 'full' });
    assert.deepEqual(numbers(stage.link.sent()), ['a1']);
  });
});

inEachForm('what is published', (Stage) => {
  test('is numbered per topic, and resolves with the ack that covers it', async () => {
    const stage = Stage.open();
    const done: string[] = [];
    for (const [topic, value] of ['aa', 'aa', 'bb', 'aa'].map((pair) => pair.split(''))) {
      void stage.client.publish(topic, value).then(() => done.push(topic));
    }
    assert.deepEqual(numbers(stage.link.sent()), ['a1', 'a2', 'b1', 'a3']);
    stage.link.say({ type: 'ack', topic: 'a', number: 2 });
    await stage.clock.advanceAsync(0);
    assert.deepEqual(done, ['a', 'a']);
  });

  test('is sent again on a new link, but for what the fleet took; what was never sent follows', async () => {
    const stage = Stage.open();
    const taken = stage.client.publish('a', 1);
    for (const topic of ['a', 'a', 'b']) quiet(stage.client.publish(topic, 1));
    stage.link.break();
    quiet(stage.client.publish('a', 1));
    stage.nextLink();
    stage.link.welcome({ resumed: true, numbers: [{ topic: 'a', number: 2 }] });
    await taken;
    assert.deepEqual(numbers(stage.link.sent()), ['a3', 'a4', 'b1']);
  });

  test('is undecided after the session was lost, if it was sent; what was not is numbered anew', async () => {
    const stage = Stage.open();
    const told: string[] = [];
    stage.client.onUndecided(({ kind, name }) => told.push(`${kind} ${name}`));
    const [sent, asked] = [stage.client.publish('a', 1), stage.client.request('m')];
    stage.link.break();
    const waiting = stage.client.publish('a', 2);
    stage.nextLink();
    stage.link.welcome({ resumed: false, session: 's2' });
    await assert.rejects(sent, { code: 'undecided' });
    await assert.rejects(asked, { code: 'undecided' });
    assert.deepEqual(told, ['message a', 'request m']);
    assert.deepEqual(numbers(stage.link.sent()), ['a1']);
    stage.link.say({ type: 'ack', topic: 'a', number: 1 });
    await waiting;
  });

  test('is sent again from where the node misses it; what is not held any more is lost, and told', () => {
    const stage = Stage.open();
    const lost: unknown[] = [];
    stage.client.onLost((what) => lost.push(what));
    for (let i = 0; i < 5; i++) quiet(stage.client.publish('a', i));
    stage.link.say({ type: 'ack', topic: 'a', number: 2 });
    stage.link.sent();
    stage.link.say({ type: 'expected', topic: 'a', number: 4 });
    assert.deepEqual(numbers(stage.link.sent()), ['a4', 'a5']);
    stage.clock.advance(1_000);
    stage.link.say({ type: 'expected', topic: 'a', number: 1 });
    assert.deepEqual(numbers(stage.link.sent()), ['lost', 'a3', 'a4', 'a5']);
    assert.deepEqual(lost, [{ topic: 'a', from: 1, to: 2 }]);
  });

  test('beyond a hole does not multiply: the same hole is filled once a second, until it is acknowledged', () => {
    const stage = Stage.open();
    for (let i = 0; i < 5; i++) quiet(stage.client.publish('a', i));
    stage.link.sent();
    for (let i = 0; i < 5; i++) stage.link.say({ type: 'expected', topic: 'a', number: 2 });
    assert.deepEqual(numbers(stage.link.sent()), ['a2', 'a3', 'a4', 'a5']);
    stage.link.say({ type: 'expected', topic: 'a', number: 4 }, { type: 'ack', topic: 'a', number: 3 });
    stage.clock.advance(1_000);
    assert.deepEqual(numbers(stage.link.sent()), ['a4', 'a5']);
    stage.link.say({ type: 'expected', topic: 'a', number: 4 }, { type: 'ack', topic: 'a', number: 5 });
    stage.clock.advance(1_000);
    assert.deepEqual(stage.link.sent(), []);
  });

  test('is bounded in number and bytes, and every end gives its room back', async () => {
    const stage = Stage.open([], { outboxMessages: 2, outboxBytes: 100 });
    const first = stage.client.publish('a', 1);
    quiet(stage.client.request('m'));
    await assert.rejects(stage.client.publish('a', 3), { code: 'full' });
    stage.link.say({ type: 'ack', topic: 'a', number: 1 });
    await first;
    await assert.rejects(stage.client.publish('a', 'é'.repeat(50)), { code: 'full' });
    quiet(stage.client.publish('a', 'é'.repeat(40)));
    assert.deepEqual(numbers(stage.link.sent()), ['a1', 'request', 'a2']);
  });

  test('and too big for the node, or no value at all, is rejected without using up a number', async () => {
    const stage = new Stage();
    const [big, small] = [stage.client.publish('a', 'x'.repeat(200)), stage.client.publish('a', 'y')];
    quiet(small);
    stage.link.welcome({ messageBytes: 100 });
    await assert.rejects(big, { code: 'tooBig' });
    await assert.rejects(
      stage.client.publish('a', () => {}),
      { code: 'badValue' },
    );
    await assert.rejects(stage.client.publish('a', 1n), { code: 'badValue' });
    await assert.rejects(stage.client.publish('', 1), { code: 'badValue' });
    assert.deepEqual(numbers(stage.link.sent()), ['a1']);
  });
});

inEachForm('a request', (Stage) => {
  test('is answered in any order, and says how far all replies have come', async () => {
    const stage = Stage.open();
    const replies = ['x', 'y'].map((method) => stage.client.request(method, { method }));
    stage.link.say({ type: 'reply', number: 2, code: 200, message: '', payload: { json: '"Y"' } });
    assert.deepEqual(await replies[1], { code: 200, message: '', data: 'Y' });
    quiet(stage.client.request('z'));
    stage.link.say({ type: 'reply', number: 1, code: 404, message: 'no such method' });
    assert.deepEqual(await replies[0], { code: 404, message: 'no such method', data: undefined });
    quiet(stage.client.request('z'));
    const sent = stage.link.sent().map((frame) => frame.type === 'request' && [frame.number, frame.settled, frame.again]);
    assert.deepEqual(sent, [
      [1, 0, undefined],
      [2, 0, undefined],
      [3, 0, undefined],
      [4, 2, undefined],
    ]);
  });

  test('that is unanswered is sent again on a new link, marked so', () => {
    const stage = Stage.open();
    quiet(stage.client.request('x'));
    stage.link.break();
    quiet(stage.client.request('y'));
    stage.nextLink();
    stage.link.welcome({ resumed: true });
    const sent = stage.link.sent().map((frame) => frame.type === 'request' && [frame.method, frame.number, frame.again]);
    assert.deepEqual(sent, [
      ['x', 1, true],
      ['y', 2, undefined],
    ]);
  });

  test('that takes too long is rejected, and its late reply is ignored', async () => {
    const stage = Stage.open();
    const late = stage.client.request('x', 1, { timeoutMs: 500 });
    stage.clock.advance(500);
    await assert.rejects(late, { code: 'timeout' });
    stage.link.say({ type: 'reply', number: 1, code: 200, message: '' });
    assert.equal(stage.client.state.kind, 'open');
  });
});

// In JSON the text would be part of the message itself, which is malformed then.
test('a value that is no JSON, in protobuf, is told of without stopping', () => {
  const { stage, heard } = listening(formed(protobuf));
  const errors: string[] = [];
  stage.client.onError(({ code }) => errors.push(code));
  stage.link.say({ type: 'publication', topic: 'a', epoch: 'e1', offset: 1, payload: { json: '{' } }, publication('a', 2));
  assert.deepEqual([heard, errors], [[2], ['badValue']]);
});
