import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createClient, createNetwork, createPage, stopTime, wait } from './network.ts';

const POSITION = 'q7Kf2wX9.1792600000123456';
const at = (number: number) => `q7Kf2wX9.${number}`;
const envelope = (channel: string, number: number, message: object) =>
  `{"event":"message","channel":${JSON.stringify(channel)},"position":"${at(number)}","data":${JSON.stringify(message)}}`;
const authenticate = (since: string | null, data = 'token') =>
  JSON.stringify({ event: 'authenticate', data, since });

beforeEach(() => {
  stopTime();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});

describe('a client', () => {
  it('does nothing before connect, then asks for recovery with its token', async () => {
    const { client, network, token, take, connect } = createClient();
    expect([client.state, network.sockets, vi.getTimerCount()]).toEqual(['idle', [], 0]);

    const socket = await connect();
    expect(socket.url).toBe('ws://bifrost/subscribe');
    expect(token).toHaveBeenCalledTimes(1);
    expect(socket.sent).toEqual([authenticate(null)]);
    socket.confirm(['a'], { position: POSITION });
    expect(take()).toEqual(['connecting', 'connected']);
  });

  it('comes back with the newest position that it handled', async () => {
    const { client, network, connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    socket.receive(envelope('a', 7, { event: 'x' }));
    socket.receive({ event: 'pong', data: JSON.stringify({ position: at(9) }) });
    socket.end(1001);
    await wait(2_500);
    network.last.open();
    await wait(0);
    expect(network.last.sent).toEqual([authenticate(at(9))]);
    client.close();
  });

  it('says when the next attempt is due, while it waits for one', async () => {
    const { client, network, connect } = createClient();
    const waits: (number | undefined)[] = [];
    const listen = () => {
      waits.push(client.retryAt === undefined ? undefined : client.retryAt - Date.now());
    };
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    expect(client.retryAt).toBeUndefined();
    client.onState(listen);
    socket.end(1001);
    expect(waits).toEqual([2_500]);
    await wait(2_500);
    network.last.end(1006);
    await wait(1_000);
    client.close();
    expect(waits).toEqual([2_500, undefined, 1_000, undefined, undefined]);
  });

  it('begins at the position that the page was rendered with', async () => {
    const { connect, take } = createClient({ since: at(5) });
    const socket = await connect();
    expect(socket.sent).toEqual([authenticate(at(5))]);
    socket.confirm(['a'], { recovered: true, missed: 1, position: at(5) });
    socket.receive(envelope('a', 6, { event: 'x', data: 1 }));
    socket.receive(envelope('a', 7, { event: 'x', data: 2 }));
    expect(take().slice(2)).toEqual([
      ['a', 1, 'replayed'],
      ['a', 2],
    ]);
  });

  it('says that there is a gap when nothing is kept of what came after that position', async () => {
    const { connect, take } = createClient({ since: at(5) });
    const socket = await connect();
    socket.confirm(['a'], { recovered: true, missed: 0 });
    socket.confirm(['b'], { recovered: false, position: at(9) });
    expect(take().slice(1)).toEqual(['connected', { gap: ['b'] }]);
  });

  it('counts a connection that ended before its first position as never subscribed', async () => {
    const { network, connect, take } = createClient();
    (await connect()).confirm(['a']);
    network.last.end(1006);
    await wait(1_000);
    network.last.open();
    await wait(0);
    take();
    network.last.confirm(['a', 'b'], { position: at(9) });
    expect(take()).toEqual(['connected']);
  });

  /** Cuts the connection; resolves to the `since` with which the client comes back. */
  async function sinceAfterCut(network: ReturnType<typeof createNetwork>) {
    network.last.end(1001);
    await wait(2_500);
    network.last.open();
    await wait(0);
    return JSON.parse(network.last.sent[0] as string).since;
  }

  it('keeps the old cursor until the replays of its last token have come', async () => {
    const { network, connect } = createClient({ token: () => ['of a', 'of b'], since: at(1) });
    const socket = await connect();
    socket.confirm(['a'], { recovered: true, missed: 0, position: at(4) });
    socket.receive(envelope('a', 5, {}));
    expect(await sinceAfterCut(network)).toBe(at(1));

    network.last.confirm(['a'], { recovered: true, missed: 0, position: at(6) });
    network.last.confirm(['b'], { recovered: true, missed: 2, position: at(1) });
    network.last.receive(envelope('b', 2, {}));
    expect(await sinceAfterCut(network)).toBe(at(1));

    network.last.confirm(['a'], { recovered: true, missed: 0, position: at(6) });
    network.last.confirm(['b'], { recovered: true, missed: 2, position: at(1) });
    for (const number of [2, 3]) network.last.receive(envelope('b', number, {}));
    expect(await sinceAfterCut(network)).toBe(at(3));
  });

  it('drops what it knows of a channel that its token left out in between', async () => {
    const answers = [['of a', 'of b'], ['of b'], ['of a']];
    const { network, connect, take } = createClient({
      token: () => answers.shift() ?? null,
      since: at(1),
    });
    const socket = await connect();
    socket.confirm(['a'], { recovered: true, missed: 0, position: at(4) });
    socket.receive(envelope('a', 9, { event: 'x', data: 9 }));
    await sinceAfterCut(network);
    network.last.confirm(['b'], { recovered: true, missed: 1, position: at(1) });
    network.last.receive(envelope('b', 2, { event: 'x', data: 2 }));
    expect(await sinceAfterCut(network)).toBe(at(2));
    take();
    network.last.confirm(['a'], { recovered: true, missed: 2, position: at(2) });
    network.last.receive(envelope('a', 9, { event: 'x', data: 9 }));
    network.last.receive(envelope('a', 10, { event: 'x', data: 10 }));
    expect(take()).toEqual(['connected', ['a', 10, 'replayed']]);
  });

  it('has no cursor before all that it was subscribed to is confirmed again', async () => {
    const { network, connect } = createClient({ token: () => ['of a', 'of b'] });
    const socket = await connect();
    // By a server without positions: nothing can be recovered.
    socket.confirm(['a', 'b']);
    socket.receive({ event: 'x' });
    expect(await sinceAfterCut(network)).toBe(null);
    network.last.confirm(['a'], { position: at(4) });
    expect(await sinceAfterCut(network)).toBe(null);
    network.last.confirm(['a'], { position: at(5) });
    network.last.confirm(['b'], { position: at(6) });
    expect(await sinceAfterCut(network)).toBe(at(6));
  });

  it('moves its cursor by a pong though a token has no channels, for which nothing is confirmed', async () => {
    const { network, connect } = createClient({
      token: () => ['of a', 'of nothing'],
      since: at(1),
    });
    const socket = await connect();
    socket.confirm(['a'], { recovered: true, missed: 0, position: at(4) });
    socket.receive({ event: 'pong', data: JSON.stringify({ position: at(9) }) });
    socket.end(1001);
    await wait(2_500);
    network.last.open();
    await wait(0);
    expect(network.last.sent[0]).toBe(authenticate(at(9), 'of a'));
  });

  it('hands out a message by event, by channel, and as it was signed', async () => {
    const { client, connect } = createClient();
    const heard: unknown[] = [];
    client.on('x', (data, message) => heard.push(['on', data, message]));
    client.on('y', () => heard.push('another event'));
    client.channel('a').on('x', (data) => heard.push(['a', data]));
    client.channel('b').onMessage(() => heard.push('another channel'));
    const socket = await connect();
    socket.confirm(['a', 'b'], { position: at(1) });
    const text = '{"2":0,"event":"x", "data":9007199254740993}';
    socket.receive(`{"event":"message","channel":"a","position":"${at(2)}","data":${text}}`);
    const data = 2 ** 53;
    const message = { channel: 'a', event: 'x', data, text, position: at(2), replayed: false };
    expect(heard).toEqual([
      ['on', data, message],
      ['a', data],
    ]);
    expect(client.channel('a').last()).toEqual(message);
  });

  it('takes only exact envelopes of confirmed channels for envelopes', async () => {
    const { client, connect } = createClient();
    const texts: string[] = [];
    client.onMessage(({ text }) => texts.push(text));
    const socket = await connect();
    socket.confirm(['a', 'ä"\\']);
    const enveloped = [
      '{"event":"message","channel":"a","data":{"n":1}}',
      '{"event":"message","channel":"\\u00e4\\"\\\\","position":"abcdefgh.1","data": {"n":2}\n}',
    ];
    const plain = [
      '{"event":"message","channel":"b","data":{}}',
      '{"event":"message", "channel":"a","data":{}}',
      '{"event":"message","data":{},"channel":"a"}',
      '{"event":"message","channel":"a","data":{},"more":1}',
      '{"event":"message","channel":"a","data":"text"}',
      '{"event":"message","channel":"a","data":[1]}',
      '{"event":"message","channel":"a","position":"abcdefg_.1","data":{}}',
      '{"event":"message","channel":"a","position":"abcdefgh.12345678901234567","data":{}}',
      '{"event":"message","channel":"a","position":"abcdefgh.1","position":"abcdefgh.2","data":{}}',
      '{"event":"subscribed","data":"news"}',
      '{"event":"subscribed","data":7}',
      '{"event":"message","channel":"a","position":"","data":{}}',
      '{"no":"event"}',
    ];
    for (const frame of [...enveloped, ...plain]) socket.receive(frame);
    expect(texts).toEqual(['{"n":1}', ' {"n":2}\n', ...plain]);
    const strange = [
      '',
      'nothing',
      '[]',
      '1',
      'null',
      '{"event":"pong","data":"{\\"position\\":5}"}',
    ];
    for (const frame of strange) socket.receive(frame);
    expect(texts).toHaveLength(enveloped.length + plain.length);
  });

  it('gives a message without an event whole', async () => {
    const { client, connect } = createClient();
    const seen = vi.fn();
    client.onMessage(seen);
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    socket.receive(envelope('a', 2, { greeting: 'Hello', event: 7 }));
    const data = { greeting: 'Hello', event: 7 };
    expect(seen.mock.lastCall).toMatchObject([{ channel: 'a', event: undefined, data }]);
  });

  it('reports a handler that throws, goes on, and counts the message as handled', async () => {
    const { client, network, connect } = createClient();
    const report = vi.spyOn(console, 'error').mockImplementation(() => {});
    const error = new Error('of the app');
    client.on('x', () => {
      throw error;
    });
    const after = vi.fn();
    client.on('x', after);
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    socket.receive(envelope('a', 2, { event: 'x' }));
    expect(report).toHaveBeenCalledWith(error);
    expect(after).toHaveBeenCalledTimes(1);
    socket.end(1006);
    await wait(1_000);
    network.last.open();
    await wait(0);
    expect(network.last.sent).toEqual([authenticate(at(2))]);
  });

  it('stops calling handlers that were undone, one way or the other', async () => {
    const { client, connect } = createClient();
    const handler = vi.fn();
    const controller = new AbortController();
    const off = client.on('x', handler);
    client.on('x', handler, controller);
    client.on('x', handler, { signal: AbortSignal.abort() });
    client.on('x', handler);
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    const receive = (n: number) => {
      handler.mockClear();
      socket.receive(envelope('a', n, { event: 'x' }));
      return handler.mock.calls.length;
    };
    expect(receive(2)).toBe(3);
    off();
    off();
    expect(receive(3)).toBe(2);
    controller.abort();
    expect(receive(4)).toBe(1);
  });

  it('iterates over the messages of a channel until the loop breaks', async () => {
    const { client, connect } = createClient();
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const { data } of client.channel('a')) {
        seen.push(data);
        if (data === 3) break;
      }
    })();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    for (const n of [2, 3, 4]) socket.receive(envelope('a', n, { event: 'x', data: n }));
    await loop;
    expect(seen).toEqual([2, 3]);
  });

  it('has the form that useSyncExternalStore takes', async () => {
    const { client, connect } = createClient();
    const { subscribe, last } = client.channel('a');
    expect(client.channel('a').subscribe).toBe(subscribe);
    const snapshots: unknown[] = [last()];
    const off = subscribe(() => snapshots.push(last()?.data));
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    socket.receive(envelope('a', 2, { event: 'x', data: 2 }));
    expect(last()).toBe(last());
    off();
    socket.receive(envelope('a', 3, { event: 'x', data: 3 }));
    expect([snapshots, last()?.data]).toEqual([[undefined, 2], 3]);
  });
});

describe('tokens', () => {
  it('closes quietly when nobody is logged in, and starts anew after a login', async () => {
    const answers = [null, 'token'];
    const { client, network, connect, take } = createClient({
      token: () => answers.shift() ?? null,
      since: at(1),
    });
    await connect();
    expect(take()).toEqual(['connecting', 'closed']);
    expect([network.last.isClosed, vi.getTimerCount()]).toEqual([true, 0]);

    const socket = await connect();
    // Somebody else may have logged in: his channels have missed nothing.
    expect(socket.sent).toEqual([authenticate(null)]);
    socket.confirm(['a'], { position: at(7) });
    expect(take()).toEqual(['connecting', 'connected']);
    expect(client.state).toBe('connected');
  });

  it('takes a fresh token after 4401, keeps the cursor, and gives up when that is refused too', async () => {
    const tokens = ['first', 'second', 'third', 'fourth'];
    const { network, connect, take } = createClient({ token: async () => tokens.shift() ?? null });
    const socket = await connect();
    socket.confirm(['a'], { position: at(3) });
    const back = async () => {
      await wait(2_000);
      network.last.open();
      await wait(0);
    };
    socket.end(4401, 'Token expired');
    await back();
    expect(network.last.sent).toEqual([authenticate(at(3), 'second')]);
    // Accepted, so the next refusal is a first one again.
    network.last.confirm(['a'], { recovered: true, missed: 0, position: at(4) });
    network.last.end(4401, 'Token expired');
    await back();
    network.last.end(4401, 'Not Authorized!');
    expect(take().at(-1)).toBe('closed: Closed with 4401 Not Authorized!');
    expect([network.sockets.length, vi.getTimerCount()]).toEqual([3, 0]);
  });

  it('aborts the callback that takes longer than ten seconds, and tries again', async () => {
    const signals: AbortSignal[] = [];
    const { network, connect, take } = createClient({
      token: ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    await connect();
    await wait(9_999);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await wait(1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(take()).toEqual(['connecting', 'waiting: No token in time']);
    await wait(1_000);
    expect(network.sockets).toHaveLength(2);
  });

  it('ignores a token that comes too late', async () => {
    let answer: (token: string) => void = () => {};
    const { client, network, connect } = createClient({
      token: () =>
        new Promise<string>((resolve) => {
          answer = resolve;
        }),
    });
    await connect();
    client.close();
    answer('late');
    await wait(60_000);
    expect([client.state, network.last.sent]).toEqual(['closed', []]);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('500'))],
    [
      'throws',
      () => {
        throw new Error('500');
      },
    ],
  ])('asks at most 8 times in a minute when the callback %s', async (_, token) => {
    // Not one delay can be shorter.
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const network = createNetwork((socket) => queueMicrotask(() => socket.open()));
    const client = createClient({ token }, network);
    client.client.connect();
    await wait(59_999);
    expect(client.take()).toContain('waiting: 500');
    expect(client.token.mock.calls.length).toBeLessThanOrEqual(8);
    expect(client.token.mock.calls.length).toBeGreaterThanOrEqual(6);
  });

  it('asks twice with a wrong secret', async () => {
    const network = createNetwork((socket) => {
      queueMicrotask(() => socket.open());
      socket.onsend = () => queueMicrotask(() => socket.end(4401, 'Not Authorized!'));
    });
    const { client, token } = createClient({}, network);
    client.connect();
    await wait(60_000);
    expect([token.mock.calls.length, client.state]).toEqual([2, 'closed']);
  });

  it('asks at most 8 times in a minute when the server closes every connection at once', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const network = createNetwork((socket) => {
      queueMicrotask(() => socket.open());
      socket.onsend = () =>
        queueMicrotask(() => {
          socket.confirm(['a'], { position: POSITION });
          socket.end(1011);
        });
    });
    const { client, token } = createClient({}, network);
    client.connect();
    await wait(59_999);
    expect(token.mock.calls.length).toBeLessThanOrEqual(8);
  });
});

describe('closing', () => {
  it.each([1002, 1003, 1007, 1008, 1009, 1010, 4400, 4413])(
    'stays away after %i and says why',
    async (code) => {
      const { connect, network, take } = createClient();
      const socket = await connect();
      socket.end(code, 'the reason');
      await wait(120_000);
      expect(take()).toEqual(['connecting', `closed: Closed with ${code} the reason`]);
      expect([network.sockets.length, vi.getTimerCount()]).toEqual([1, 0]);
    },
  );

  it('leaves no timer, no listener on the page and no socket, from wherever it is called', async () => {
    const page = createPage();
    const { client, network, connect } = createClient({ token: () => new Promise(() => {}) });
    client.connect();
    expect(page.listenerCount).toBeGreaterThan(0);
    client.close();
    await connect();
    client.close();
    client.connect();
    network.last.end(1006);
    client.close();
    client.close();
    expect(network.sockets.filter(({ isClosed, isAttached }) => !isClosed || isAttached)).toEqual(
      [],
    );
    expect([vi.getTimerCount(), page.listenerCount, client.state]).toEqual([0, 0, 'closed']);
  });

  it('goes on where it was when it connects again', async () => {
    const { client, connect } = createClient();
    (await connect()).confirm(['a'], { position: at(3) });
    client.close();
    expect((await connect()).sent).toEqual([authenticate(at(3))]);
  });

  it('can be called by a handler; the others learn only of the state that holds', async () => {
    const { client, connect, take } = createClient();
    const states: string[] = [];
    client.onState((state) => state === 'connected' && client.close());
    client.onState((state) => states.push(state));
    const socket = await connect();
    socket.confirm(['a'], { position: at(3) });
    expect(take()).toEqual(['connecting', 'connected', 'closed']);
    expect(states).toEqual(['connecting', 'closed']);
    expect(socket.isClosed).toBe(true);
  });

  it('says why when there can be no socket', async () => {
    const network = createNetwork(() => {
      throw new SyntaxError('an insecure URL');
    });
    const { client, take } = createClient({}, network);
    client.connect();
    expect(take()).toEqual(['closed: an insecure URL']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is what disposing does', async () => {
    const { client, connect } = createClient();
    await connect();
    await client[Symbol.asyncDispose]();
    expect(client.state).toBe('closed');
  });
});

describe('4429', () => {
  /** What the client asks for when it comes back, each time after the server has closed its connection as too slow. */
  async function sincesAfter(closings: number, heldMs: number) {
    const { network, connect, take } = createClient();
    (await connect()).confirm(['a', 'b'], { position: at(0) });
    const sinces: unknown[] = [];
    for (let n = 1; n <= closings; n += 1) {
      for (let ms = 0; ms < heldMs; ms += 20_000) {
        await wait(20_000);
        network.last.receive({ event: 'pong' });
      }
      const before = network.sockets.length;
      network.last.end(4429, 'Too slow');
      await wait(999);
      expect(network.sockets).toHaveLength(before);
      while (network.sockets.length === before) await wait(100);
      network.last.open();
      await wait(0);
      const { since } = JSON.parse(network.last.sent[0] as string);
      sinces.push(since);
      take();
      network.last.confirm(['a'], since && { recovered: true, missed: 0 });
      network.last.confirm(['b'], {
        ...(since && { recovered: true, missed: 0 }),
        position: at(n),
      });
    }
    return { sinces, heard: take() };
  }

  it('gives up the cursor at the third within a minute, and says that there is a gap', async () => {
    const { sinces, heard } = await sincesAfter(3, 0);
    expect(sinces).toEqual([at(0), at(1), null]);
    expect(heard).toEqual(['connected', { gap: ['a', 'b'] }]);
  });

  it('keeps the cursor when they are further apart', async () => {
    const { sinces, heard } = await sincesAfter(4, 40_000);
    expect(sinces).toEqual([0, 1, 2, 3].map(at));
    expect(heard).toEqual(['connected']);
  });
});

describe('liveness', () => {
  it('pings after 25 s of silence, and gives up ten seconds later', async () => {
    const { network, connect, take } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    await wait(24_999);
    expect(socket.sent).toHaveLength(1);
    await wait(1);
    expect(socket.sent.slice(1)).toEqual(['{"event":"ping"}']);
    await wait(9_999);
    expect(socket.isClosed).toBe(false);
    await wait(1);
    expect([socket.isClosed, socket.isAttached]).toEqual([true, false]);
    expect(take().at(-1)).toBe('waiting: No answer in time');
    await wait(1_000);
    expect(network.sockets).toHaveLength(2);
  });

  it('pings although its timer fires a moment early', async () => {
    const { connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    vi.setSystemTime(Date.now() - 5);
    await wait(25_000);
    expect(socket.sent).toHaveLength(1);
    await wait(5);
    expect(socket.sent).toHaveLength(2);
  });

  it('takes any frame for an answer', async () => {
    const { connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    await wait(20_000);
    socket.receive(envelope('a', 2, {}));
    await wait(24_999);
    expect(socket.sent).toHaveLength(1);
    await wait(1);
    expect(socket.sent).toHaveLength(2);
    socket.receive(envelope('a', 3, {}));
    await wait(24_999);
    expect([socket.sent.length, socket.isClosed]).toEqual([2, false]);
  });

  it('asks for a position when only messages come that the server does not keep', async () => {
    const { connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    const typing = '{"event":"message","channel":"a","data":{"event":"typing"}}';
    for (let second = 0; second < 70; second += 5) {
      await wait(5_000);
      socket.receive(typing);
    }
    expect(socket.sent.slice(1)).toEqual(['{"event":"ping"}', '{"event":"ping"}']);
    // They are answers enough.
    expect(socket.isClosed).toBe(false);
  });

  it('notices a handshake that gets no answer', async () => {
    const { client, network } = createClient();
    client.connect();
    await wait(10_000);
    expect([network.last.isClosed, client.state]).toEqual([true, 'waiting']);
  });

  it('does not hold against the server that the page was frozen', async () => {
    const { connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    await wait(25_000);
    // The page stands still for an hour; then its timer runs before the frames that came meanwhile.
    vi.setSystemTime(Date.now() + 3_600_000);
    await wait(10_000);
    expect([socket.sent.length, socket.isClosed]).toEqual([3, false]);
    socket.receive('{"event":"pong"}');
    await wait(24_000);
    expect(socket.isClosed).toBe(false);
  });

  it('notices a dead server in a page whose timers are always late', async () => {
    const { connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    await wait(25_000);
    for (const _ of [1, 2]) {
      vi.setSystemTime(Date.now() + 50_000);
      await wait(10_000);
    }
    expect(socket.isClosed).toBe(true);
  });
});

describe('in a page', () => {
  it.each(['online', 'visibilitychange', 'pageshow'])(
    '%s asks the server at once',
    async (type) => {
      const page = createPage();
      const { connect } = createClient();
      const socket = await connect();
      socket.confirm(['a'], { position: at(1) });
      page.dispatch(type);
      page.dispatch(type);
      expect(socket.sent.slice(1)).toEqual(['{"event":"ping"}']);
      await wait(10_000);
      expect(socket.isClosed).toBe(true);
    },
  );

  it('a hidden page asks nothing', async () => {
    const page = createPage();
    const { connect } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(1) });
    page.document.hidden = true;
    page.dispatch('visibilitychange');
    expect(socket.sent).toHaveLength(1);
  });

  it('online ends the wait for the next attempt', async () => {
    const page = createPage();
    const { network, connect } = createClient();
    (await connect()).end(1006);
    expect(network.sockets).toHaveLength(1);
    page.dispatch('online');
    expect(network.sockets).toHaveLength(2);
  });

  it('pagehide closes and keeps the cursor, pageshow comes back with it', async () => {
    const page = createPage();
    const { network, connect, take } = createClient();
    const socket = await connect();
    socket.confirm(['a'], { position: at(3) });
    take();
    page.dispatch('pagehide');
    expect([socket.isClosed, socket.isAttached, vi.getTimerCount()]).toEqual([true, false, 0]);
    page.document.hidden = true;
    page.dispatch('visibilitychange');
    expect(network.sockets).toHaveLength(1);

    page.document.hidden = false;
    page.dispatch('pageshow');
    network.last.open();
    await wait(0);
    expect(network.last.sent).toEqual([authenticate(at(3))]);
    expect(take()).toEqual(['waiting', 'connecting']);
  });
});

describe('against a server that knows no positions', () => {
  it('works, and reports a gap after every reconnect, once for all channels', async () => {
    const { network, connect, take } = createClient();
    const socket = await connect();
    socket.confirm(['a', 'b']);
    socket.receive({ event: 'x', data: 1 });
    await wait(1_000);
    network.last.receive({ event: 'pong' });
    expect(take()).toEqual(['connecting', 'connected', [undefined, 1]]);
    for (const _ of [1, 2]) {
      network.last.end(1001);
      await wait(2_500);
      network.last.open();
      await wait(0);
      expect(network.last.sent).toEqual([authenticate(null)]);
      network.last.confirm(['a', 'b']);
      await wait(1_000);
      network.last.receive({ event: 'pong' });
      expect(take().slice(2)).toEqual(['connected', { gap: ['a', 'b'] }]);
    }
  });

  it('reports the gap before the first message', async () => {
    const { client, network, connect, take } = createClient();
    const gaps = vi.fn();
    client.channel('a').onGap(gaps);
    (await connect()).confirm(['a']);
    await wait(1_000);
    network.last.receive({ event: 'pong' });
    network.last.end(1001);
    await wait(2_500);
    network.last.open();
    await wait(0);
    take();
    network.last.confirm(['a']);
    network.last.receive({ event: 'x', data: 1 });
    // With one channel it is known whose message it is.
    expect(take()).toEqual(['connected', { gap: ['a'] }, ['a', 1]]);
    expect(gaps.mock.calls).toEqual([[{ channels: ['a'] }]]);
  });
});
