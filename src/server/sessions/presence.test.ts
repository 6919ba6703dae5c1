// Who is on a topic: entered with a subscription, there through every move, gone when they say so or when their time is over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromNow, inEachForm, type Stage, unreachable, type PlayedLink } from '../../../test/sessions/stage.ts';
import { memoryEngine } from '../../engine/memory.ts';
import type { ClientFrame } from '../../protocol/frames.ts';

const join = (topic: string): ClientFrame => ({ type: 'subscribe', topic, start: { history: 0 }, presence: true });

/** Joins and leaves that the link was told: `+CLIENT` and `-CLIENT`. */
const events = (link: PlayedLink): string[] =>
  link.of('publication').map(({ payload }) => {
    const { joined, left } = JSON.parse('json' in payload ? payload.json : '{}') as Record<string, { client: string }>;
    return joined === undefined ? `-${left.client}` : `+${joined.client}`;
  });

async function present(stage: Stage, link: PlayedLink, topic: string): Promise<string[]> {
  link.say({ type: 'presence', topic });
  await stage.settle();
  return link.of('present').flatMap(({ members }) => members.map(({ client }) => client));
}

inEachForm('presence', (Stage) => {
  test('is told as it comes and goes: with unsubscribe, with a close of 1000, and without a word after presenceMs', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a', { presenceMs: 6_000 }), stage.node('b', { presenceMs: 6_000 })];
    const watcher = await stage.open(a);
    watcher.say(fromNow('@presence/t'));
    await stage.settle();
    watcher.heard();
    const links = [await stage.open(b, { instance: 'i2' }), await stage.open(b, { instance: 'i3' }), await stage.open(b, { instance: 'i4' })];
    const [p, q, r] = links.map(({ welcome }) => welcome.client);
    for (const link of links) link.say(join('t'));
    await stage.settle();
    assert.deepEqual(events(watcher), [`+${p}`, `+${q}`, `+${r}`]);
    assert.deepEqual(await present(stage, watcher, 't'), [p, q, r]);
    await stage.settle(20_000);
    assert.deepEqual(await present(stage, watcher, 't'), [p, q, r]);
    links[0].say({ type: 'unsubscribe', topic: 't' });
    links[1].break(1000);
    links[2].break();
    await stage.settle();
    assert.deepEqual(events(watcher), [`-${p}`, `-${q}`]);
    assert.deepEqual(await present(stage, watcher, 't'), [r]);
    await stage.settle(10_000);
    assert.deepEqual(events(watcher), [`-${r}`]);
    assert.deepEqual(await present(stage, watcher, 't'), []);
  });

  test('survives a move to another node without a word', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a', { presenceMs: 6_000 }), stage.node('b', { presenceMs: 6_000 })];
    const watcher = await stage.open(a, { instance: 'i2' });
    watcher.say(fromNow('@presence/t'));
    const old = await stage.open(a);
    old.say(join('t'));
    await stage.settle();
    const { client, session } = old.welcome;
    assert.deepEqual(events(watcher), [`+${client}`]);
    const after = { epoch: 'memory.0', offset: 0 };
    const now = await stage.open(b, { session, link: 2, subscriptions: [{ topic: 't', after, presence: true }] });
    old.break(1000);
    await stage.settle(20_000);
    assert.deepEqual([events(watcher), await present(stage, now, 't')], [[], [client]]);
  });

  test('ends for a client whose link broke while its hello was still being answered', async () => {
    const stage = new Stage();
    const node = stage.node('a', { presenceMs: 6_000, authenticate: () => ({ user: 'bob' }) });
    const watcher = await stage.open(node, { instance: 'i2', token: 'bob' });
    const after = { epoch: 'memory.0', offset: 0 };
    // The inbox is answered late, and what the client is present on comes after it.
    const slow = stage.node('b', { presenceMs: 6_000, authenticate: () => ({ user: 'bob' }) });
    const { streams } = memoryEngine(stage);
    slow.instead.tail = (name, listener) => new Promise((resolve) => void stage.clock.after(1_000, () => resolve(streams.tail(name, listener))));
    const subscriptions = [
      { topic: '@inbox', after },
      { topic: 't', after, presence: true },
    ];
    const link = await stage.open(slow, { subscriptions });
    link.break();
    await stage.settle(30_000);
    assert.deepEqual(await present(stage, watcher, 't'), []);
    assert.equal(slow.sessions.hub.size, 0, 'nor is anything followed for it');
  });

  test('may be refused, and what the engine did not take is entered with the next refresh', async () => {
    const stage = new Stage();
    const node = stage.node('a', { presenceMs: 6_000, authorize: ({ action, topic }) => action !== 'presence' || topic === 't' });
    const link = await stage.open(node);
    link.say({ type: 'presence', topic: 'closed' });
    await stage.settle();
    assert.deepEqual(
      link.of('unsubscribed').map(({ code }) => code),
      [403],
    );
    node.instead.enter = unreachable;
    link.say(join('t'));
    await stage.settle();
    assert.deepEqual(await present(stage, link, 't'), []);
    delete node.instead.enter;
    await stage.settle(2_000);
    assert.deepEqual(await present(stage, link, 't'), [link.welcome.client]);
  });
});

inEachForm('a join or a leave', (Stage) => {
  test('is told once where the node hears no answer, and ends of it: who came, who left, and that they are gone', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a', { presenceMs: 6_000 }), stage.node('b', { presenceMs: 6_000 })];
    const watcher = await stage.open(a, { instance: 'i2' });
    watcher.say(fromNow('@presence/t'));
    const [p, q] = [await stage.open(b), await stage.open(b, { instance: 'i3' })];
    p.say(join('t'));
    await stage.settle();
    const [first, second] = [p, q].map(({ welcome }) => welcome.client);
    assert.deepEqual(events(watcher), [`+${first}`]);
    const { streams } = memoryEngine(stage);
    b.instead.enter = (...call) => streams.enter(...call).then(unreachable);
    b.instead.leave = (...call) => streams.leave(...call).then(unreachable);
    b.instead.append = unreachable;
    q.say(join('t'));
    p.say({ type: 'unsubscribe', topic: 't' });
    await b.sessions.stop();
    await stage.settle();
    assert.deepEqual(events(watcher).toSorted(), [`+${second}`, `-${first}`].toSorted());
    await stage.settle(20_000);
    assert.deepEqual(events(watcher), [`-${second}`]);
  });

  test('is told again where a node stood still for longer than presenceMs, and in its order', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a', { presenceMs: 6_000 }), stage.node('b', { presenceMs: 6_000 })];
    const watcher = await stage.open(a, { instance: 'i2' });
    watcher.say(fromNow('@presence/t'));
    const link = await stage.open(b);
    link.say(join('t'));
    await stage.settle();
    b.instead.enter = unreachable;
    await stage.settle(20_000);
    delete b.instead.enter;
    await stage.settle(2_000);
    const { client } = link.welcome;
    assert.deepEqual(events(watcher), [`+${client}`, `-${client}`, `+${client}`]);
  });

  test('ends for all of a crowd whose node died within one refresh, however many they are', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a', { presenceMs: 6_000 }), stage.node('b', { presenceMs: 6_000 })];
    const watcher = await stage.open(a, { instance: 'i' });
    watcher.say(fromNow('@presence/t'));
    for (let i = 0; i < 250; i++) (await stage.open(b, { instance: `i${i}` })).say(join('t'));
    await stage.settle();
    assert.equal(events(watcher).length, 250);
    await b.sessions.stop();
    await stage.settle(9_000);
    assert.equal(events(watcher).filter((event) => event.startsWith('-')).length, 250);
  });
});

inEachForm('presence in bad times', (Stage) => {
  test('presence is answered when the engine is back: an empty list would say that nobody is there', async () => {
    const stage = new Stage();
    const node = stage.node('a', { presenceMs: 6_000 });
    const link = await stage.open(node);
    link.say(join('t'));
    await stage.settle();
    node.instead.present = unreachable;
    assert.deepEqual(await present(stage, link, 't'), []);
    assert.equal(link.of('present').length, 0);
    delete node.instead.present;
    await stage.settle(2_000);
    assert.deepEqual(
      link.of('present').map(({ members }) => members.map(({ client }) => client)),
      [[link.welcome.client]],
    );
  });
});
