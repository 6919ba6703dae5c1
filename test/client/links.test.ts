// How the client opens links, comes back after each kind of end, moves, and hears of its page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../src/core/random.ts';
import { inEachForm, publication, Stage, welcomeFrame, type PlayedLink } from './stage.ts';

const at = (offset: number, epoch = 'e1') => ({ epoch, offset });

inEachForm('a first link', (Stage) => {
  test('begins with a hello that names the instance, and nothing is sent before the welcome', () => {
    const stage = new Stage({ token: 't1' });
    stage.client.publish('a', 1).catch(() => {});
    stage.client.subscribe('a');
    stage.link.events.opened();
    assert.deepEqual(stage.link.sent(), [{ type: 'hello', instance: 'i1', link: 1, token: 't1', subscriptions: [] }]);
    stage.link.say(welcomeFrame());
    assert.deepEqual(
      stage.link.sent().map(({ type }) => type),
      ['subscribe', 'publish'],
    );
    assert.equal(stage.client.state.kind, 'open');
    assert.deepEqual(stage.client.identity, { client: 'c1', user: null, node: 'n1' });
  });

  test('is given up after ten seconds without a welcome', () => {
    const stage = new Stage();
    stage.link.events.opened();
    stage.clock.advance(9_999);
    assert.equal(stage.client.state.kind, 'connecting');
    stage.clock.advance(1);
    assert.equal(stage.client.state.kind, 'waiting');
    assert.equal(stage.link.closed, 4001);
  });

  test('asks for address and token before each attempt, and takes the failure of either for a failed attempt', async () => {
    let asked = 0;
    const errors: string[] = [];
    const stage = new Stage({
      url: async () => {
        if (++asked === 1) throw new Error('assignment is down');
        return { url: 'https://b/path?x=1', token: 't2' };
      },
      token: () => 'not used',
    });
    stage.client.onError((error) => errors.push(error.code));
    await stage.clock.advanceAsync(600);
    assert.deepEqual(errors, ['noEndpoint']);
    assert.equal(stage.link.url, 'wss://b/path?x=1');
    assert.equal(stage.link.welcome().token, 't2');
  });
});

inEachForm('after a break', (Stage) => {
  test('the hello names the session and the positions, and the link number grows', () => {
    const stage = Stage.open(['a']);
    stage.link.say(publication('a', 1), publication('a', 2));
    stage.link.break();
    stage.nextLink();
    const hello = stage.link.welcome({ resumed: true });
    assert.deepEqual([hello.session, hello.link, hello.subscriptions], ['s1', 2, [{ topic: 'a', after: at(2) }]]);
  });

  test('without a goodbye the client waits within the spread that was told last; without a welcome it only backs off', () => {
    const waits = Array.from({ length: 50 }, (_, seed) => {
      const stage = new Stage({ instance: String(seed), random: { next: () => seed / 50 } });
      stage.link.welcome({ spreadMs: 1_000 });
      stage.link.say({ type: 'spread', ms: 60_000 });
      stage.link.break();
      // Nothing shortens a wait that the fleet needs.
      stage.page('awake');
      return stage.nextLink();
    });
    assert.ok(Math.max(...waits) > 50_000 && Math.max(...waits) <= 60_000);
    assert.ok(Math.min(...waits) < 2_000);
    const stage = new Stage();
    stage.link.break();
    assert.ok(stage.nextLink() <= 500);
  });

  test('waits grow with failures in a row up to the cap, and a link that lived five seconds ends the row', () => {
    const stage = new Stage({ random: { next: () => 0.999 } });
    const waits = Array.from({ length: 8 }, () => {
      stage.link.break();
      return Math.round(stage.nextLink());
    });
    assert.deepEqual(waits, [500, 999, 1998, 3996, 7992, 15984, 29970, 29970]);
    stage.link.welcome();
    stage.clock.advance(4_999);
    stage.link.break(1012);
    assert.equal(Math.round(stage.nextLink()), 29_970);
    stage.link.welcome();
    stage.clock.advance(5_000);
    stage.link.break(1012);
    assert.equal(Math.round(stage.nextLink()), 500);
  });

  test('a server that is full names the wait and the slot, which is shown at the same address', () => {
    const stage = new Stage({ url: ['ws://a/x', 'ws://b/x'] });
    const { url } = stage.link;
    stage.link.events.opened();
    stage.link.break(1013, '{"retryMs":1200,"slot":"s/1"}');
    stage.page('awake');
    assert.equal(stage.nextLink(), 1_200);
    assert.equal(stage.link.url, `${url}?slot=s%2F1`);
    stage.link.break(1013, 'come back later');
    assert.ok(stage.nextLink() <= 1_000);
    assert.equal(new URL(stage.link.url).search, '');
  });

  for (const code of [1000, 1002, 1003, 1007, 1010, 1015, 3000, 3003, 4401, 4403, 4499]) {
    test(`close code ${code} ends the client, and what waits is told`, async () => {
      const stage = Stage.open(['a']);
      const [message, request] = [stage.client.publish('a', 1), stage.client.request('m')];
      stage.link.break(code, 'why');
      assert.deepEqual(stage.client.state, { kind: 'closed', code, reason: 'why' });
      await assert.rejects(message, { code: 'closed', status: code });
      await assert.rejects(request, { code: 'closed' });
      await assert.rejects(stage.client.publish('a', 1), { code: 'closed' });
      assert.equal(stage.clock.nextAt(), Infinity);
    });
  }

  for (const code of [1001, 1005, 1011, 1012, 4000, 4001, 4300]) {
    test(`after close code ${code} it comes back`, () => {
      const stage = Stage.open();
      stage.link.break(code);
      assert.ok(stage.nextLink() <= 500);
    });
  }

  test('gives up after the time that was set', () => {
    const stage = new Stage({ giveUpAfterMs: 20_000 });
    while (stage.client.state.kind !== 'closed') {
      stage.link.break();
      if (stage.client.state.kind === 'waiting') stage.nextLink();
    }
    assert.equal(stage.client.state.code, 0);
    assert.ok(stage.clock.now() <= 20_000 && stage.clock.now() > 5_000);
  });
});

inEachForm('several addresses', (Stage) => {
  test('that failed or send clients away are avoided for a while, as long as there are others', () => {
    const stage = new Stage({ url: ['ws://a/', 'ws://b/', 'ws://c/'] });
    const first = stage.link.url;
    stage.link.break();
    stage.nextLink();
    const second = stage.link.url;
    stage.link.welcome();
    stage.link.break(1012);
    stage.nextLink();
    assert.equal(new Set([first, second, stage.link.url]).size, 3);
    stage.link.break();
    stage.nextLink();
    assert.equal(stage.link.url, second, 'the one that did answer');
  });

  test('are known again however they are spelled', () => {
    for (let seed = 0; seed < 8; seed++) {
      const stage = new Stage({ url: ['https://A:443', 'wss://b:443/'], random: seeded(seed) });
      const [first] = stage.links;
      first.break();
      stage.nextLink();
      assert.notEqual(stage.link.url, first.url);
    }
  });

  test('are picked from by a function as it likes, among those that neither failed nor send clients away', () => {
    const first = { next: () => 0 };
    const stage = new Stage({ url: (pick) => pick(['ws://a/', 'ws://b/', 'ws://c/'], first) });
    stage.link.break();
    stage.nextLink();
    stage.link.welcome();
    stage.link.break(1012);
    stage.nextLink();
    stage.link.welcome();
    stage.clock.advance(30_000);
    stage.link.break(1013, '');
    stage.nextLink();
    assert.deepEqual(
      stage.links.map(({ url }) => url),
      ['ws://a/', 'ws://b/', 'ws://c/', 'ws://a/'],
    );
  });
});

inEachForm('a silent link', (Stage) => {
  test('is asked after pingMs, and given up after deadMs', () => {
    const stage = Stage.open();
    stage.clock.advance(29_999);
    assert.deepEqual(stage.link.sent(), []);
    stage.clock.advance(1);
    assert.deepEqual(stage.link.sent(), [{ type: 'ping', at: 30_000 }]);
    stage.clock.advance(59_999);
    assert.equal(stage.client.state.kind, 'open');
    stage.clock.advance(1);
    assert.equal(stage.client.state.kind, 'waiting');
    assert.equal(stage.link.closed, 4001);
  });

  test('lives on when anything is heard, and an answered ping is a round trip', () => {
    const stage = Stage.open(['a']);
    const trips: number[] = [];
    stage.client.onRoundTrip((ms) => trips.push(ms));
    for (let offset = 1; offset < 10; offset++) {
      stage.clock.advance(25_000);
      stage.link.say(publication('a', offset));
    }
    assert.deepEqual(stage.link.sent(), []);
    stage.clock.advance(30_000);
    stage.clock.advance(70);
    stage.link.say({ type: 'pong', at: 255_000 });
    assert.deepEqual(trips, [70]);
    stage.link.say({ type: 'ping', at: 5 });
    assert.deepEqual(stage.link.sent().at(-1), { type: 'pong', at: 5 });
    assert.equal(stage.client.state.kind, 'open');
  });
});

inEachForm('being shown the way', (Stage) => {
  const shown = { type: 'move', url: 'ws://b/evenkeel', ticket: '', withinMs: 10_000 } as const;

  test('a move before any welcome is followed at once, and the link of the gateway is given up', () => {
    const stage = new Stage();
    const gate = stage.link;
    gate.events.opened();
    gate.say(shown);
    assert.notEqual(gate.closed, null);
    assert.equal(stage.link.url, 'ws://b/evenkeel');
    const hello = stage.link.welcome();
    assert.equal(hello.ticket, '');
    assert.equal(stage.client.state.kind, 'open');
  });

  test('gateways that send a client to each other are followed five times, then the attempt ends by its own time', () => {
    const stage = new Stage();
    const links = new Set<PlayedLink>();
    for (let i = 0; i < 9; i++) {
      links.add(stage.link);
      if (stage.link.closed !== null) break;
      stage.link.events.opened();
      stage.link.say(shown);
    }
    assert.equal(links.size, 6);
    assert.equal(stage.client.state.kind, 'connecting');
    stage.clock.advance(10_000);
    assert.equal(stage.client.state.kind, 'waiting');
  });
});

inEachForm('a server that changes behind the socket', (Stage) => {
  test('gets a hello on the same socket, and everything is asked and sent anew there', () => {
    const stage = Stage.open(['a']);
    stage.client.publish('a', 1).catch(() => {});
    stage.link.sent();
    stage.link.say({ type: 'resync', number: 7 });
    const [hello] = stage.link.sent();
    assert.deepEqual(hello, { type: 'hello', session: 's1', instance: 'i1', link: 2, subscriptions: [{ topic: 'a', after: at(0) }], resync: 7 });
    stage.client.publish('a', 2).catch(() => {});
    // Of an earlier server.
    stage.link.say(publication('a', 1), welcomeFrame({ resync: 6 }));
    assert.deepEqual(stage.link.sent(), []);
    stage.link.say(welcomeFrame({ resumed: true, resync: 7 }));
    assert.deepEqual(
      stage.link.sent().map((frame) => frame.type === 'publish' && frame.number),
      [1, 2],
    );
    assert.equal(stage.links.length, 1);
  });
});

inEachForm('the page', (Stage) => {
  test('offline: attempts are few and not counted; online: at once', () => {
    const stage = Stage.open([], { random: { next: () => 0.999 } });
    stage.page('offline');
    stage.link.break();
    assert.equal(stage.nextLink(), 30_000);
    stage.link.break();
    stage.clock.advance(10);
    stage.page('awake');
    stage.link.break();
    assert.ok(stage.nextLink() < 1_000);
  });

  test('awake: a link that does not answer within five seconds is given up, one that does stays', () => {
    const stage = Stage.open();
    stage.page('awake');
    assert.equal(stage.link.sent()[0].type, 'ping');
    stage.link.say({ type: 'pong', at: 0 });
    stage.clock.advance(20_000);
    assert.equal(stage.client.state.kind, 'open');
    stage.page('awake');
    stage.clock.advance(5_000);
    assert.equal(stage.client.state.kind, 'waiting');
  });

  test('gone: the link is closed', () => {
    const stage = Stage.open();
    stage.page('close');
    assert.equal(stage.link.closed, 1000);
    assert.equal(stage.client.state.kind, 'closed');
  });
});

test('a message that is none of the protocol ends the link', () => {
  const stage = Stage.open();
  stage.link.events.message('{');
  assert.equal(stage.link.closed, 4400);
  assert.equal(stage.client.state.kind, 'waiting');
});
