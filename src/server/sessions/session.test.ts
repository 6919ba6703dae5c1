// One link of a session: what may be said when, in which order it takes effect, what is refused and how, and what holds a client
// that sends too much or reads too little.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, fromNow, hello, inEachForm, publish, Stage, unreachable } from '../../../test/sessions/stage.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import type { ClientFrame, Payload } from '../../protocol/frames.ts';
import { protoCodec } from '../../protocol/proto.ts';

inEachForm('a link', (Stage) => {
  test('nothing may come before hello, hello comes once, and what is no message of the protocol ends the link', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const early = node.link();
    early.say({ type: 'ping', at: 1 });
    assert.equal(codeOf(early), CloseCode.badFrame);
    const twice = await stage.open(node);
    twice.say(hello({ link: 2 }));
    assert.equal(codeOf(twice), CloseCode.badFrame);
    const garbage = await stage.open(node);
    garbage.session.receive(stage.codec.binary ? Uint8Array.of(0xff) : '{');
    assert.equal(codeOf(garbage), CloseCode.badFrame);
  });

  test('what can be answered at once is answered as soon as all that came with it was heard; what takes longer, later', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const link = await stage.open(node);
    link.heard();
    link.session.isHearing = true;
    link.say({ type: 'ping', at: 1 });
    link.say({ type: 'ping', at: 2 }, publish('t', 1));
    assert.deepEqual(link.heard(), []);
    link.session.allHeard();
    assert.deepEqual(link.heard(), [
      { type: 'pong', at: 1 },
      { type: 'pong', at: 2 },
    ]);
    await stage.settle();
    assert.deepEqual(link.heard(), [{ type: 'ack', topic: 't', number: 1 }]);
  });

  test('without a hello it ends after ten seconds; a ping is answered at once', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const silent = node.link();
    const open = await stage.open(node);
    await stage.settle(10_000);
    assert.equal(silent.closed, null);
    await stage.settle(1_000);
    assert.equal(codeOf(silent), CloseCode.timeout);
    open.say({ type: 'ping', at: 7 }, { type: 'pong', at: 8 });
    await stage.settle();
    assert.deepEqual(open.heard(), [{ type: 'pong', at: 7 }]);
  });

  test('what is published comes back in order with offsets, acknowledged once for all that came together', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a'));
    link.say(fromNow('t'), publish('t', 1), publish('t', 2));
    link.say(publish('u', 1), publish('t', 3));
    await stage.settle();
    const frames = link.heard();
    assert.deepEqual(
      frames.flatMap((frame) => (frame.type === 'publication' ? [[frame.offset, frame.payload]] : [])),
      [1, 2, 3].map((n) => [n, { json: String(n) }]),
    );
    assert.deepEqual(
      frames.filter(({ type }) => type === 'ack'),
      [
        { type: 'ack', topic: 't', number: 3 },
        { type: 'ack', topic: 'u', number: 1 },
      ],
    );
  });

  test('numbers that begin at 0, or ranges that end before they begin, are malformed', async () => {
    const bad: ClientFrame[] = [
      publish('t', 0),
      { type: 'lost', topic: 't', from: 0, to: 3 },
      { type: 'lost', topic: 't', from: 3, to: 2 },
      { type: 'request', number: 0, settled: 0, method: 'm', payload: { json: '1' } },
    ];
    const stage = new Stage();
    const node = stage.node('a');
    for (const frame of bad) {
      const link = await stage.open(node);
      link.say(frame);
      await stage.settle();
      assert.equal(codeOf(link), CloseCode.badFrame, JSON.stringify(frame));
    }
  });
});

inEachForm('numbers', (Stage) => {
  test('a hole is told once, what was on its way is dropped, and nothing is lost or reordered when it is sent again', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a'));
    link.say(fromNow('t'), publish('t', 1));
    await stage.settle();
    link.heard();
    link.say(publish('t', 3), publish('t', 4));
    await stage.settle();
    link.say(publish('t', 5));
    await stage.settle();
    assert.deepEqual(link.heard(), [{ type: 'expected', topic: 't', number: 2 }]);
    link.say(publish('t', 2), publish('t', 3), publish('t', 4), publish('t', 5));
    await stage.settle();
    assert.deepEqual(
      link.of('publication').map(({ payload }) => payload),
      ['2', '3', '4', '5'].map((json) => ({ json })),
    );
  });

  test('what the client lost is skipped', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a'));
    link.say(publish('t', 3));
    await stage.settle();
    link.say({ type: 'lost', topic: 't', from: 1, to: 2 }, publish('t', 3));
    await stage.settle();
    assert.deepEqual(link.of('expected', 'ack'), [
      { type: 'expected', topic: 't', number: 1 },
      { type: 'ack', topic: 't', number: 3 },
    ]);
  });

  test('while the engine is away a message is asked for again, and takes effect once', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const link = await stage.open(node);
    link.say(fromNow('t'));
    await stage.settle();
    link.heard();
    const { streams } = node.engine;
    const append = streams.append.bind(streams);
    // The first takes effect, and its answer is lost.
    node.instead.append = async (call) => {
      await append(call);
      return unreachable();
    };
    link.say(publish('t', 1));
    await stage.settle();
    node.instead.append = unreachable;
    link.say(publish('t', 1), publish('t', 2));
    await stage.settle();
    assert.deepEqual(link.of('expected'), [
      { type: 'expected', topic: 't', number: 1 },
      { type: 'expected', topic: 't', number: 1 },
    ]);
    delete node.instead.append;
    link.say(publish('t', 1), publish('t', 2));
    await stage.settle();
    assert.deepEqual(
      link.of('publication', 'ack').map((frame) => (frame.type === 'ack' ? frame.number : frame.payload)),
      [2, { json: '2' }],
    );
  });

  test('when a skip cannot be stored now, all of its range is asked for again', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const link = await stage.open(node);
    node.instead.skipNumbers = unreachable;
    link.say({ type: 'lost', topic: 't', from: 1, to: 3 });
    await stage.settle();
    assert.deepEqual(link.of('expected'), [{ type: 'expected', topic: 't', number: 1 }]);
  });

  test('a session that publishes on too many topics is refused each message there, and its others go on', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a', { framesPerS: 10_000 }));
    link.say(...Array.from({ length: 1_000 }, (_, i) => publish(`t${i}`, 1)));
    await stage.settle();
    assert.equal(link.of('ack').length, 1_000);
    for (const number of [1, 2, 3]) {
      link.say(publish('more', number));
      await stage.settle();
      assert.deepEqual(
        link.heard().map((frame) => (frame.type === 'refused' ? [frame.topic, frame.number, frame.code] : frame)),
        [['more', number, 429]],
      );
    }
    link.say(publish('t0', 2));
    await stage.settle();
    assert.deepEqual(link.heard(), [{ type: 'ack', topic: 't0', number: 2 }]);
  });

  test('holes on ever new topics do not pile up at the node', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a', { framesPerS: 100_000 }));
    for (let batch = 0; batch < 3 && link.closed === null; batch++) {
      link.say(...Array.from({ length: 1_000 }, (_, i) => publish(`hole-${batch}-${i}`, 2)));
      await stage.settle();
    }
    assert.equal(codeOf(link), CloseCode.tooMany);
  });
});

inEachForm('what is refused', (Stage) => {
  test('a message that is too large, on a reserved topic or not allowed, and the next one goes on when the client has heard of it', async () => {
    const stage = new Stage();
    const node = stage.node('a', { messageBytes: 10, authorize: ({ action, topic }) => action !== 'publish' || topic !== 'closed' });
    const link = await stage.open(node);
    link.say(publish('t', 1, '"more than ten"'), publish('t', 2), publish('@t', 1), publish('closed', 1), publish('closed', 2));
    // Ten characters, and thirty bytes.
    link.say(publish('u', 1, '"€€€€€€€€"'));
    await stage.settle();
    const frames = link.heard();
    assert.deepEqual(
      frames.flatMap((frame) => (frame.type === 'refused' ? [`${frame.topic} ${frame.number}: ${frame.code}`] : [])),
      ['t 1: 413', '@t 1: 403', 'closed 1: 403', 'closed 2: 403', 'u 1: 413'],
    );
    assert.deepEqual(
      frames.filter(({ type }) => type === 'ack' || type === 'expected'),
      [{ type: 'expected', topic: 't', number: 1 }],
    );
    link.say({ type: 'lost', topic: 't', from: 1, to: 1 }, publish('t', 2), { type: 'lost', topic: 'closed', from: 1, to: 1 });
    await stage.settle();
    assert.deepEqual(link.heard(), [
      { type: 'ack', topic: 't', number: 2 },
      { type: 'ack', topic: 'closed', number: 1 },
    ]);
    // What the client has not answered is not taken: on the next link it says it again, and is refused again.
    const next = await stage.open(node, { link: 2, session: link.welcome.session });
    assert.deepEqual(
      next.welcome.numbers.map(({ topic, number }) => `${topic} ${number}`),
      ['t 2', 'closed 1'],
    );
    next.say(publish('closed', 2));
    await stage.settle();
    assert.deepEqual(
      next.of('refused').map((frame) => frame.number),
      [2],
    );
  });

  test('a refused message that comes again before the client heard of it stays refused, whatever would be decided now', async () => {
    const stage = new Stage();
    let isOpen = false;
    const node = stage.node('a', { authorize: ({ action }) => action !== 'publish' || isOpen });
    const link = await stage.open(node);
    link.say(publish('t', 1));
    await stage.settle();
    isOpen = true;
    link.say(publish('t', 1), publish('t', 2));
    await stage.settle();
    link.say({ type: 'lost', topic: 't', from: 1, to: 1 });
    await stage.settle();
    link.say(publish('t', 2));
    await stage.settle();
    assert.deepEqual(
      link.of('refused', 'expected', 'ack').map((frame) => `${frame.type} ${frame.number}`),
      ['refused 1', 'expected 1', 'expected 2', 'ack 1', 'ack 2'],
    );
  });

  test('topics beyond the limit get 429; the streams that every session follows do not count', async () => {
    const stage = new Stage();
    const node = stage.node('a', { topics: 2, authenticate: () => ({ user: 'ann' }) });
    const link = await stage.open(node);
    link.say(fromNow('t1'), fromNow('t2'), fromNow('t3'), fromNow('t2'), { type: 'unsubscribe', topic: 't1' }, fromNow('t3'));
    await stage.settle();
    assert.deepEqual(
      link.of('subscribed', 'unsubscribed').map((frame) => `${frame.topic} ${'code' in frame ? frame.code : 'yes'}`),
      ['t1 yes', 't2 yes', 't3 429', 't2 yes', 't1 200', 't3 yes'],
    );
  });

  test('its own streams need no permission, and other reserved names, or the inbox of nobody, are not to be had', async () => {
    const stage = new Stage();
    const asked: string[] = [];
    const authorize = ({ action, topic }: { readonly action: string; readonly topic: string }): boolean => {
      asked.push(`${action} ${topic}`);
      return false;
    };
    const anonymous = await stage.open(stage.node('a', { authorize }));
    anonymous.say(fromNow('@inbox'), fromNow('@other'), fromNow('@all'));
    await stage.settle();
    const told = (link: typeof anonymous): string[] =>
      link.of('subscribed', 'unsubscribed').map((frame) => `${frame.topic} ${'code' in frame ? frame.code : 'yes'}`);
    assert.deepEqual(told(anonymous), ['@inbox 403', '@other 403', '@all yes']);
    const ann = await stage.open(stage.node('b', { authorize, authenticate: () => ({ user: 'ann' }), everybody: false }));
    ann.say({ type: 'subscribe', topic: '@inbox', start: { history: 0 } }, fromNow('@all'));
    await stage.settle();
    assert.deepEqual(told(ann).toSorted(), ['@all 403', '@inbox yes']);
    assert.deepEqual(asked, []);
  });
});

inEachForm('authorize', (Stage) => {
  test('a slow answer keeps the order of what follows', async () => {
    const stage = new Stage();
    const node = stage.node('a', {
      authorize: ({ topic }) => (topic === 'slow' ? new Promise((resolve) => void stage.clock.after(100, () => resolve(true))) : true),
    });
    const link = await stage.open(node);
    link.say(fromNow('slow'), publish('slow', 1), publish('fast', 1));
    link.say(publish('slow', 2), { type: 'ping', at: 1 });
    await stage.settle();
    assert.deepEqual(link.heard(), []);
    assert.ok(link.held);
    await stage.settle(300);
    assert.deepEqual(
      link.of('publication').map(({ topic, payload }) => [topic, payload]),
      ['1', '2'].map((json) => ['slow', { json }]),
    );
    assert.ok(!link.held);
  });

  const faults = {
    'that throws': () => {
      throw new Error('a mistake');
    },
    'that rejects': () => Promise.reject(new Error('a mistake')),
  };
  for (const [name, authorize] of Object.entries(faults)) {
    test(`a hook ${name} ends the link with 1011 and is logged, and nothing else happens`, async () => {
      const stage = new Stage();
      const link = await stage.open(stage.node('a', { authorize }));
      link.say(publish('t', 1));
      await stage.settle();
      assert.deepEqual([codeOf(link), stage.errors.length], [CloseCode.failed, 1]);
    });
  }

  test('a hook that answers nothing has not allowed it', async () => {
    const stage = new Stage();
    for (const answer of [undefined, Promise.resolve(undefined)]) {
      const link = await stage.open(stage.node('a', { authorize: () => answer as unknown as boolean }));
      link.say(publish('t', 1));
      await stage.settle();
      assert.equal(link.of('refused')[0]?.code, 403);
    }
  });
});

test('bytes pass as they are', async () => {
  const stage = new Stage(protoCodec);
  const link = await stage.open(stage.node('a'));
  const payload: Payload = { bytes: Uint8Array.of(0, 255, 128) };
  link.say(fromNow('t'), { type: 'publish', topic: 't', number: 1, payload });
  await stage.settle();
  const [publication] = link.of('publication');
  assert.deepEqual('bytes' in publication.payload && [...publication.payload.bytes], [0, 255, 128]);
});
