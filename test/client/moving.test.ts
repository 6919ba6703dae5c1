// How the client moves to another link, make before break: what it hears on which link, and when it lets go of the old one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerFrame } from '../../src/protocol/frames.ts';
import { inEachForm, publication } from './stage.ts';

const at = (offset: number, epoch = 'e1') => ({ epoch, offset });

inEachForm('moving', (Stage) => {
  const move = { type: 'move', url: 'ws://b/evenkeel', ticket: 'k1', withinMs: 20_000 } as const;

  test('opens the new link with the ticket, sends there after its welcome, and closes the old one when every topic is answered', () => {
    const stage = Stage.open(['a', 'b']);
    const heard: number[] = [];
    stage.client.subscribe('a', {}, ({ position }) => heard.push(position.offset));
    const old = stage.link;
    old.say(publication('a', 1), move);
    assert.equal(stage.link.url, 'ws://b/evenkeel');
    stage.client.publish('a', 'early').catch(() => {});
    old.say(publication('a', 2));
    const hello = stage.link.welcome({ resumed: true, numbers: [] });
    assert.equal(hello.ticket, 'k1');
    assert.deepEqual(hello.subscriptions, [
      { topic: 'a', after: at(2) },
      { topic: 'b', after: at(0) },
    ]);
    stage.client.publish('a', 'late').catch(() => {});
    assert.deepEqual(
      old.sent().map((frame) => frame.type === 'publish' && frame.number),
      [1],
    );
    assert.deepEqual(
      stage.link.sent().map((frame) => frame.type === 'publish' && frame.number),
      [1, 2],
    );
    // Both deliver.
    old.say(publication('a', 3), publication('a', 4));
    stage.link.say({ type: 'subscribed', topic: 'a', position: at(2) }, publication('a', 3));
    assert.equal(old.closed, null);
    old.say(publication('a', 5));
    stage.link.say({ type: 'subscribed', topic: 'b', position: at(0) });
    assert.equal(old.closed, 1000);
    stage.link.say(publication('a', 4), publication('a', 5), publication('a', 6));
    assert.deepEqual(heard, [1, 2, 3, 4, 5, 6]);
    assert.equal(stage.client.state.kind, 'open');
  });

  test('takes who is there from the new link only: what the old one says late is no answer to what is asked next', async () => {
    const stage = Stage.open(['a']);
    const old = stage.link;
    const present = (client: string): ServerFrame => ({ type: 'present', topic: 'a', members: [{ client, user: null }] });
    const first = stage.client.presence('a');
    old.say(move);
    stage.link.welcome({ resumed: true });
    stage.link.say(present('first'));
    assert.equal((await first)[0].client, 'first');
    const next = stage.client.presence('a');
    old.say(present('late'));
    stage.link.say(present('next'));
    assert.equal((await next)[0].client, 'next');
  });

  test('stays where it is when the new link fails, and comes back when the old one ends', () => {
    const stage = Stage.open(['a']);
    const old = stage.link;
    old.say(move);
    stage.link.break();
    assert.equal(stage.client.state.kind, 'open');
    stage.client.publish('a', 1).catch(() => {});
    assert.equal(old.sent().length, 1);
    // The new node had the session already when its link broke: the old one is fenced by our own hello.
    old.break(4409);
    stage.nextLink();
    assert.equal(stage.link.welcome({ resumed: true }).link, 3);
  });

  test('goes on with the new link alone when the old one ends first', () => {
    const stage = Stage.open(['a']);
    const old = stage.link;
    old.say(move);
    old.break(4409);
    assert.deepEqual(stage.client.state, { kind: 'connecting', link: 2, since: null });
    stage.link.welcome({ resumed: true });
    assert.equal(stage.client.state.kind, 'open');
  });

  test('comes back when the new link breaks while the old one still delivers, since that one may not be sent on any more', () => {
    const stage = Stage.open(['a']);
    const old = stage.link;
    old.say(move);
    stage.link.welcome({ resumed: true });
    stage.link.break();
    // Not 1000, which would end the session.
    assert.equal(old.closed, 4001);
    assert.equal(stage.client.state.kind, 'waiting');
  });

  test('an encrypted session is not moved to a plain one', () => {
    const stage = Stage.open(['a'], { url: 'wss://a/evenkeel' });
    stage.link.say(move);
    stage.clock.advance(1);
    assert.equal(stage.links.length, 1);
    assert.equal(stage.client.state.kind, 'open');
  });
});
