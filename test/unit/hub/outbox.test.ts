import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Batch } from '../../../src/hub/batch.ts';
import { Compressor } from '../../../src/hub/compressor.ts';
import { encodeFrame, type Frame, payloadOf } from '../../../src/hub/frame.ts';
import { Hub, type Kind, POSITIONED, type Subscriber } from '../../../src/hub/hub.ts';
import { Outbox, type Outlet } from '../../../src/hub/outbox.ts';
import type { Channel } from '../../../src/protocol/channel.ts';

/** A connection without a network: what it was handed, and what was written to it while it was open. */
class FakeConnection implements Subscriber, Outlet {
  batch: Batch | undefined = undefined;
  open = true;
  readonly handed: Buffer[] = [];
  readonly written: Buffer[] = [];
  readonly kind: Kind | undefined;
  readonly #outbox: Outbox;

  constructor(outbox: Outbox, kind?: Kind) {
    this.#outbox = outbox;
    this.kind = kind;
  }

  deliver(frame: Frame): boolean {
    if (!this.open) return false;
    this.handed.push(frame.bytes);
    this.#outbox.append(this, frame);
    return true;
  }

  write(bytes: Buffer): void {
    if (this.open) this.written.push(bytes);
  }

  get received(): Buffer {
    return Buffer.concat(this.written);
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** One turn of the event loop: what it schedules itself belongs to the next. */
function turn() {
  vi.advanceTimersToNextTimer();
}

describe('Outbox', () => {
  it('writes once per turn, and shares one buffer among subscribers with the same frames', () => {
    const outbox = new Outbox();
    const connections = Array.from({ length: 3 }, () => new FakeConnection(outbox));
    const frames = ['{"n":1}', '{"n":2}', '{"n":3}'].map(encodeFrame);
    for (const frame of frames) for (const connection of connections) connection.deliver(frame);

    turn();

    const expected = Buffer.concat(frames.map(({ bytes }) => bytes));
    for (const { written } of connections) {
      expect(written).toEqual([expected]);
      expect(written[0]).toBe(connections[0]?.written[0]);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes a single frame without a copy', () => {
    const outbox = new Outbox();
    const connection = new FakeConnection(outbox);
    const frame = encodeFrame('{}');
    connection.deliver(frame);
    turn();
    expect(connection.written[0]).toBe(frame.bytes);
  });

  it.each([
    { kinds: 'plain', encodings: 3, compressions: 0, joins: 1 },
    { kinds: 'deflating', encodings: 3, compressions: 3, joins: 1 },
    { kinds: 'positioned', encodings: 3, compressions: 0, joins: 1 },
    { kinds: 'plain deflating', encodings: 3, compressions: 3, joins: 2 },
    { kinds: 'plain positioned', encodings: 6, compressions: 0, joins: 2 },
    { kinds: 'positioned both', encodings: 3, compressions: 3, joins: 2 },
    { kinds: 'plain deflating positioned both', encodings: 6, compressions: 6, joins: 4 },
  ])(
    'encodes, compresses and joins once for 1,000 subscribers each: $kinds',
    ({ kinds, ...expected }) => {
      const long = 'the same words again and again, '.repeat(64);
      const hub = new Hub();
      const outbox = new Outbox();
      const compressor = new Compressor();
      const kindOf = new Map<string, Kind | undefined>([
        ['plain', undefined],
        ['deflating', compressor],
        ['positioned', POSITIONED],
        ['both', compressor.positioned],
      ]);
      const names = kinds.split(' ');
      const connections = Array.from(
        { length: 1_000 * names.length },
        (_, n) => new FakeConnection(outbox, kindOf.get(names[n % names.length] ?? '')),
      );
      for (const connection of connections) hub.subscribe(connection, 'a' as Channel);
      vi.runAllTimers();
      for (const { written } of connections) written.length = 0;
      const compressions = vi.spyOn(compressor, 'encode');
      const joins = vi.spyOn(Buffer, 'concat');
      // Asked once for each text that is encoded.
      const encodings = vi.spyOn(Buffer, 'byteLength');

      for (const text of ['1', long, '3']) {
        hub.publish({ channel: 'a' as Channel, message: text, position: 'q7Kf2wX9.1' });
      }
      vi.runAllTimers();

      const counts = {
        encodings: encodings.mock.calls.length,
        compressions: compressions.mock.calls.length,
        joins: joins.mock.calls.length,
      };
      vi.restoreAllMocks();
      expect(counts).toEqual(expected);
      const written = new Set(connections.flatMap((connection) => connection.written));
      expect(written.size).toBe(names.length);
    },
  );

  it('writes to a bounded number of sockets per turn, and later frames join the waiting ones', () => {
    const outbox = new Outbox({ sliceOutlets: 2 });
    const connections = Array.from({ length: 5 }, () => new FakeConnection(outbox));
    const [one, two] = [encodeFrame('{"n":1}'), encodeFrame('{"n":2}')];
    for (const connection of connections) connection.deliver(one);

    turn();
    expect(connections.map(({ written }) => written.length)).toEqual([1, 1, 0, 0, 0]);
    for (const connection of connections) connection.deliver(two);
    turn();
    expect(connections.map(({ written }) => written.length)).toEqual([1, 1, 1, 1, 0]);
    vi.runAllTimers();

    expect(connections.map(({ written }) => written.length)).toEqual([2, 2, 1, 1, 1]);
    for (const { received } of connections) {
      expect(received).toEqual(Buffer.concat([one.bytes, two.bytes]));
    }
  });

  it('delays a flush once for more frames when the last one wrote several per socket', () => {
    const outbox = new Outbox({ flushDelayMs: 5, minDelayedOutlets: 3 });
    const connections = Array.from({ length: 3 }, () => new FakeConnection(outbox));
    const deliver = (text: string, to = connections) => {
      const frame = encodeFrame(text);
      for (const connection of to) connection.deliver(frame);
    };
    const writes = () => connections.map(({ written }) => written.length);

    deliver('1');
    turn();
    expect(writes()).toEqual([1, 1, 1]);
    deliver('2');
    deliver('3');
    turn();
    expect(writes()).toEqual([2, 2, 2]);

    deliver('4');
    turn();
    expect(writes()).toEqual([2, 2, 2]);
    deliver('5');
    vi.advanceTimersByTime(4);
    expect(writes()).toEqual([2, 2, 2]);
    vi.advanceTimersByTime(1);
    expect(writes()).toEqual([3, 3, 3]);

    // A few are written faster than they would wait.
    deliver('6', connections.slice(1));
    turn();
    expect(writes()).toEqual([3, 4, 4]);
    // That round had one message for each.
    deliver('7');
    turn();
    expect(writes()).toEqual([4, 5, 5]);
    expect(connections[1]?.received.toString('latin1')).toBe(
      ['1', '2', '3', '4', '5', '6', '7'].map((text) => `\x81\x01${text}`).join(''),
    );
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes to fewer sockets per turn when messages are large', () => {
    const outbox = new Outbox();
    const connections = Array.from({ length: 40 }, () => new FakeConnection(outbox));
    const frame = encodeFrame('x'.repeat(1024 * 1024));
    for (const connection of connections) connection.deliver(frame);
    turn();
    expect(connections.filter(({ written }) => written.length > 0)).toHaveLength(16);
    vi.runAllTimers();
    expect(connections.every(({ written }) => written.length === 1)).toBe(true);
  });

  it('keeps no reference to what it wrote', async () => {
    const outbox = new Outbox();
    const connection = new FakeConnection(outbox);
    connection.deliver(encodeFrame('{}'));
    turn();
    expect(connection.batch).toBeUndefined();
    outbox.flush(connection);
    expect(connection.written).toHaveLength(1);
  });

  it('gives every open socket exactly the frames handed to it, in order, once', () => {
    const who = fc.nat({ max: 5 });
    const name = fc.constantFrom('a', 'b', 'c');
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), who, name }) },
        { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const), name }) },
        { weight: 4, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const), who }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const), who }) },
      ),
      { maxLength: 60 },
    );

    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 7 }), fc.boolean(), (all, slice, gathers) => {
        const hub = new Hub();
        const outbox = new Outbox({
          sliceOutlets: slice,
          flushDelayMs: gathers ? 5 : 0,
          minDelayedOutlets: 2,
        });
        const shouting: Kind = { encode: (frame) => encodeFrame(`${payloadOf(frame)}!`) };
        const connections = Array.from(
          { length: 6 },
          (_, n) => new FakeConnection(outbox, n % 2 === 0 ? shouting : undefined),
        );
        const broken = new Set<FakeConnection>();

        all.forEach((step, n) => {
          const connection =
            connections[step.kind === 'publish' || step.kind === 'turn' ? 0 : step.who];
          if (connection === undefined) throw new Error('no such connection');
          switch (step.kind) {
            case 'subscribe':
              if (connection.open) hub.subscribe(connection, step.name as Channel);
              break;
            case 'publish':
              hub.publish({ channel: step.name as Channel, message: JSON.stringify({ n }) });
              break;
            case 'turn':
              turn();
              break;
            case 'end':
              hub.unsubscribe(connection);
              outbox.flush(connection);
              connection.open = false;
              break;
            case 'break':
              // The peer has closed; the hub hears of it later.
              connection.open = false;
              broken.add(connection);
              break;
          }
        });
        vi.runAllTimers();

        for (const connection of connections) {
          const handed = Buffer.concat(connection.handed);
          const { received } = connection;
          if (broken.has(connection)) expect(handed.subarray(0, received.length)).toEqual(received);
          else expect(received).toEqual(handed);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
