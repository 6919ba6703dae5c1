// The sessions of nodes that share an engine: who gets which session at hello, what becomes of the link that had it, what is told
// of the fleet, and what is left when all is over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  codeOf,
  fromNow,
  hello,
  inEachForm,
  publish,
  SECRET,
  type Stage,
  unreachable,
  type PlayedLink,
  type PlayedNode,
} from '../../../test/sessions/stage.ts';
import { record } from '../../../test/engines/records.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { signTicket } from './ticket.ts';

const json = (links: PlayedLink): unknown[] => links.of('publication').map(({ payload }) => ('json' in payload ? JSON.parse(payload.json) : payload));

/** The ticket in a move of `link` to the node `target`. */
async function ticketOf(
  stage: Stage,
  { node, link, target }: { readonly node: PlayedNode; readonly link: PlayedLink; readonly target: string },
): Promise<string> {
  node.sessions.move(link.session, { reason: 'drain', plan: null, target: { id: target, address: `${target}:80` } });
  await stage.settle();
  const [move] = link.of('move');
  assert.ok(move !== undefined && move.url.startsWith(`ws://${target}:80/evenkeel?slot=`));
  return move.ticket;
}

inEachForm('hello', (Stage) => {
  test('makes a session, takes it up again with its numbers, and says so when it is over', async () => {
    const stage = new Stage();
    const node = stage.node('a', { resumeMs: 10_000 });
    const first = await stage.open(node);
    const { session, client, resumed } = first.welcome;
    assert.ok(!resumed && client !== session && !session.includes(client));
    first.say(publish('t', 1), publish('t', 2), publish('u/v', 1));
    await stage.settle();
    first.break();
    await stage.settle(9_000);
    const second = await stage.open(node, { session, link: 2 });
    assert.deepEqual([second.welcome.session, second.welcome.client, second.welcome.resumed], [session, client, true]);
    assert.deepEqual(second.welcome.numbers, [
      { topic: 't', number: 2 },
      { topic: 'u/v', number: 1 },
    ]);
    second.break();
    await stage.settle(11_000);
    const third = await stage.open(node, { session, link: 3 });
    assert.ok(!third.welcome.resumed && third.welcome.session !== session);
    assert.deepEqual({ ...node.tally.hellos }, { new: 1, resumed: 1, over: 1 });
  });

  test('an open session outlives any number of windows, and one that was closed with 1000 is over at once', async () => {
    const stage = new Stage();
    const node = stage.node('a', { resumeMs: 10_000 });
    const first = await stage.open(node);
    await stage.settle(100_000);
    first.break(1000);
    await stage.settle();
    const second = await stage.open(node, { session: first.welcome.session, link: 2 });
    assert.equal(second.welcome.resumed, false);
  });

  test('another instance, or another user, gets a session of its own, and the owner keeps his', async () => {
    const stage = new Stage();
    const node = stage.node('a', { authenticate: ({ token }) => ({ user: token }) });
    const owner = await stage.open(node, { token: 'ann' });
    const { session } = owner.welcome;
    for (const thief of [
      { token: 'ann', instance: 'copy' },
      { token: 'bob', instance: 'i1' },
    ]) {
      const link = await stage.open(node, { ...thief, session, link: 9 });
      assert.ok(!link.welcome.resumed && link.welcome.session !== session);
    }
    owner.say(publish('t', 1));
    await stage.settle();
    assert.equal(owner.of('ack').length, 1);
  });

  test('an older link than the newest is turned away', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const { welcome } = await stage.open(node, { link: 5 });
    const late = node.link();
    late.say(hello({ session: welcome.session, link: 4 }));
    await stage.settle();
    assert.equal(codeOf(late), CloseCode.replaced);
  });

  test('a token that is not accepted, a hook that fails and a user that is no name end the link', async () => {
    const stage = new Stage();
    const cases: readonly (readonly [() => unknown, number])[] = [
      [() => null, CloseCode.unauthorized],
      [() => Promise.reject(new Error('a mistake')), CloseCode.failed],
      [() => undefined, CloseCode.failed],
      [() => ({ user: '' }), CloseCode.failed],
      [() => ({ user: 7 }), CloseCode.failed],
      [() => ({ user: 'x'.repeat(300) }), CloseCode.failed],
    ];
    for (const [index, [authenticate, code]] of cases.entries()) {
      const link = stage.node(`n${index}`, { authenticate: authenticate as () => { user: null } }).link();
      link.say(hello());
      await stage.settle();
      assert.equal(codeOf(link), code, `case ${index}`);
    }
    assert.equal(stage.errors.length, 5);
  });
});

inEachForm('a hello in bad times', (Stage) => {
  test('while the engine is away the client is told to come later', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    node.instead.claim = unreachable;
    const link = node.link();
    link.say(hello());
    await stage.settle();
    assert.deepEqual(link.closed, { code: CloseCode.tryLater, reason: '{"retryMs":1000}' });
  });

  test('a link that ends while its hello is handled leaves a session that can be taken up', async () => {
    const stage = new Stage();
    const node = stage.node('a', { resumeMs: 10_000 });
    const { welcome } = await stage.open(node);
    const claim = node.engine.streams.claim.bind(node.engine.streams);
    const link = node.link();
    node.instead.claim = async (call) => {
      const claimed = await claim(call);
      link.break();
      return claimed;
    };
    link.say(hello({ session: welcome.session, link: 2 }));
    await stage.settle();
    delete node.instead.claim;
    assert.deepEqual([node.sessions.count, link.heard()], [0, []]);
    assert.ok((await stage.open(node, { session: welcome.session, link: 3 })).welcome.resumed);
  });

  test('streams that may not be followed any more are told, and the others go on from their positions', async () => {
    const stage = new Stage();
    let closed = false;
    const node = stage.node('a', { authorize: ({ topic }) => topic !== 'closed' || !closed });
    const first = await stage.open(node);
    first.say(fromNow('t'), fromNow('closed'));
    await stage.settle();
    const after = new Map(first.of('subscribed').map(({ topic, position }) => [topic, position]));
    first.break();
    closed = true;
    await node.sessions.hub.publish('topic/t', { json: '"missed"' });
    const again = node.link();
    const subscriptions = ['t', 'closed'].map((topic) => ({ topic, after: after.get(topic) ?? assert.fail() }));
    again.say(hello({ session: first.welcome.session, link: 2, subscriptions }));
    await stage.settle();
    const frames = again.heard();
    assert.equal(frames[0].type, 'welcome');
    assert.deepEqual(
      frames.flatMap((frame) => (frame.type === 'unsubscribed' || frame.type === 'subscribed' ? [`${frame.type} ${frame.topic}`] : [])).toSorted(),
      ['subscribed @all', 'subscribed t', 'unsubscribed closed'],
    );
    assert.ok(frames.some((frame) => frame.type === 'publication' && 'json' in frame.payload && frame.payload.json === '"missed"'));
  });
});

inEachForm('a takeover', (Stage) => {
  for (const [where, other] of [
    ['on the same node', 'a'],
    ['on another node', 'b'],
  ]) {
    test(`${where}: the old link goes on delivering, writes nothing, and ends`, async () => {
      const stage = new Stage();
      const nodes = { a: stage.node('a'), b: stage.node('b') };
      const target = nodes[other as 'a' | 'b'];
      const old = await stage.open(nodes.a);
      old.say(fromNow('t'), publish('t', 1));
      await stage.settle();
      const position = old.of('publication')[0];
      const now = await stage.open(target, { session: old.welcome.session, link: 2, subscriptions: [{ topic: 't', after: position }] });
      assert.ok(now.welcome.resumed);
      assert.deepEqual([nodes.a.sessions.count, nodes.b.sessions.count], other === 'a' ? [1, 0] : [0, 1]);
      old.say(publish('t', 2, '"from the old"'), { type: 'unsubscribe', topic: 't' });
      now.say(publish('t', 2, '"from the new"'));
      await stage.settle();
      assert.deepEqual([json(old), json(now)], [['from the new'], ['from the new']]);
      await stage.settle(12_000);
      assert.deepEqual([codeOf(old), codeOf(now)], [CloseCode.restart, undefined]);
      old.break(1012);
      now.say(publish('t', 3));
      await stage.settle();
      assert.deepEqual(now.of('ack'), [{ type: 'ack', topic: 't', number: 3 }]);
    });
  }

  test('that the old node did not hear of is noticed when the client writes there, or when the session is kept', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a', { resumeMs: 9_000 }), stage.node('b')];
    for (const writes of [true, false]) {
      const old = await stage.open(a);
      await a.sessions.stop();
      await stage.open(b, { session: old.welcome.session, link: 2 });
      a.sessions.start();
      assert.equal(a.sessions.count, 1);
      if (writes) old.say(publish('t', 1));
      await stage.settle(writes ? 0 : 3_100);
      assert.equal(a.sessions.count, 0);
      await stage.settle(4_000);
      assert.deepEqual([old.of('ack'), codeOf(old)], [[], CloseCode.restart]);
    }
  });
});

inEachForm('a move', (Stage) => {
  test('gives a ticket that lets the session in once, at its target', async () => {
    const stage = new Stage();
    const [a, b, c] = [stage.node('a'), stage.node('b'), stage.node('c')];
    const old = await stage.open(a);
    const { session } = old.welcome;
    const ticket = await ticketOf(stage, { node: a, link: old, target: 'b' });
    const wrong = c.link();
    wrong.say(hello({ session, link: 2, ticket }));
    await stage.settle();
    assert.equal(codeOf(wrong), CloseCode.badTicket);
    const moved = await stage.open(b, { session, link: 2, ticket });
    assert.ok(moved.welcome.resumed);
    const replayed = b.link();
    replayed.say(hello({ session, link: 3, ticket }));
    await stage.settle();
    assert.equal(codeOf(replayed), CloseCode.badTicket);
    moved.say(publish('t', 1));
    await stage.settle();
    assert.equal(moved.of('ack').length, 1);
  });

  test('tickets that are forged, expired, of another session, or with no session are not good', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const { welcome } = await stage.open(node);
    const ticket = { session: welcome.session, owner: 1, target: 'a', expiresAt: stage.clock.wallTime() + 30_000 };
    const good = signTicket(SECRET, ticket);
    const cases = [
      { session: welcome.session, ticket: 'x.y' },
      { session: welcome.session, ticket: signTicket('another secret', ticket) },
      { session: welcome.session, ticket: signTicket(SECRET, { ...ticket, expiresAt: stage.clock.wallTime() - 10_000 }) },
      { session: 'another', ticket: good },
      { ticket: good },
    ];
    for (const changes of cases) {
      const link = node.link();
      link.say(hello({ link: 2, ...changes }));
      await stage.settle();
      assert.equal(codeOf(link), CloseCode.badTicket, JSON.stringify(changes));
    }
  });

  test('without a target, or before its hello, the client is told to come back', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const [open, greeting] = [await stage.open(node), node.link()];
    node.sessions.move(open.session, { reason: 'drain', plan: null, target: null });
    node.sessions.move(greeting.session, { reason: 'drain', plan: null, target: { id: 'b', address: 'b:80' } });
    assert.deepEqual([codeOf(open), codeOf(greeting)], [CloseCode.restart, CloseCode.restart]);
  });
});

inEachForm('a node', (Stage) => {
  test('the spread is told with the welcome, and again when it changes by a quarter', async () => {
    const stage = new Stage();
    const node = stage.node('a', { framesPerS: 100_000 });
    await node.engine.putMember(record('b', { admissionPerS: 1 }), 1e6);
    await stage.settle(5_000);
    const links = [await stage.open(node)];
    for (let i = 1; i < 8; i++) links.push(await stage.open(node, { instance: `i${i + 1}` }));
    const told = links[7].welcome.spreadMs;
    assert.ok(told > links[0].welcome.spreadMs);
    await stage.settle(2_000);
    assert.deepEqual(links[0].of('spread'), [{ type: 'spread', ms: told }]);
    assert.deepEqual(links[7].of('spread'), []);
  });

  test('a thing said to everybody, or to a user, reaches each session once, also those that are between two links', async () => {
    const stage = new Stage();
    const node = stage.node('a', { authenticate: ({ token }) => ({ user: token }) });
    const ann = await stage.open(node, { token: 'ann' });
    const bob = await stage.open(node, { token: 'bob', instance: 'i2' });
    await stage.settle();
    // The hello's frames were dropped; positions begin at 0 of an epoch that the first publication names.
    await node.sessions.hub.publish('all', { json: '1' });
    await stage.settle();
    const [heard] = ann.of('publication');
    ann.break();
    await node.sessions.hub.publish('user/ann', { json: '2' });
    await node.sessions.hub.publish('all', { json: '3' });
    await stage.settle();
    assert.deepEqual(json(bob), [1, 3]);
    const link = node.link();
    link.say(hello({ token: 'ann', session: ann.welcome.session, link: 2, subscriptions: [{ topic: '@all', after: heard }] }));
    await stage.settle();
    assert.deepEqual(json(link), [3]);
  });

  test('when all links are closed and the node stops nothing is left: no timers, tails or inboxes', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const links = [await stage.open(node), await stage.open(node, { instance: 'i2' })];
    for (const link of links) link.say({ type: 'subscribe', topic: 't', start: { history: 0 }, presence: true }, publish('t', 1));
    await stage.settle(6_000);
    for (const link of links) link.break();
    await node.sessions.stop();
    await stage.settle();
    assert.deepEqual([node.sessions.count, node.sessions.hub.size, stage.clock.nextAt()], [0, 0, Infinity]);
    assert.equal(stage.listeners, 0);
  });

  test('a node that stops before it began to listen listens no more', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    await node.sessions.stop();
    await stage.settle();
    assert.equal(stage.listeners, 0);
  });
});
