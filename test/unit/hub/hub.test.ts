import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { encodeFrame, type Frame, payloadOf } from '../../../src/hub/frame.ts';
import { Hub, type Kind, type Subscriber } from '../../../src/hub/hub.ts';
import type { Channel } from '../../../src/protocol/channel.ts';

class Recorder implements Subscriber {
  open = true;
  readonly frames: Frame[] = [];
  readonly kind: Kind | undefined;

  constructor(kind?: Kind) {
    this.kind = kind;
  }

  deliver(frame: Frame): boolean {
    if (this.open) this.frames.push(frame);
    return this.open;
  }
}

/** Puts a letter before the payload, and counts how often it was asked to. */
class Prefixing implements Kind {
  asked = 0;
  readonly #letter: string;

  constructor(letter: string) {
    this.#letter = letter;
  }

  encode(frame: Frame): Frame {
    this.asked += 1;
    return encodeFrame(this.#letter + payloadOf(frame));
  }
}

const channel = (name: string) => name as Channel;

describe('Hub', () => {
  it('makes one frame, however many receive it', () => {
    const hub = new Hub();
    const [alice, bob] = [new Recorder(), new Recorder()];
    hub.subscribe(alice, channel('a'));
    hub.subscribe(bob, channel('a'));

    expect(hub.publish({ channel: channel('a'), message: '{"n":1}' })).toBe(2);

    expect(alice.frames[1]?.bytes.toString('latin1')).toBe('\x81\x07{"n":1}');
    expect(alice.frames[1]).toBe(bob.frames[1]);
  });

  it('makes one frame per kind of subscribers, and none for kinds without subscribers', () => {
    const hub = new Hub();
    const [x, y] = [new Prefixing('x'), new Prefixing('y')];
    const subscribers = [x, undefined, x, undefined, x].map((kind) => new Recorder(kind));
    for (const subscriber of subscribers) hub.subscribe(subscriber, channel('a'));
    hub.subscribe(new Recorder(y), channel('b'));

    expect(hub.publish({ channel: channel('a'), message: '{}' })).toBe(5);

    const frames = subscribers.map((subscriber) => subscriber.frames[1]);
    expect(frames.map((frame) => frame && payloadOf(frame).toString())).toEqual([
      'x{}',
      '{}',
      'x{}',
      '{}',
      'x{}',
    ]);
    expect(new Set(frames).size).toBe(2);
    expect([x.asked, y.asked]).toEqual([1, 0]);
    expect([hub.channels, hub.subscriptions]).toEqual([2, 6]);
  });

  it('counts only subscribers that took the message', () => {
    const hub = new Hub();
    const [alice, bob] = [new Recorder(), new Recorder()];
    hub.subscribe(alice, channel('a'));
    hub.subscribe(bob, channel('a'));
    alice.open = false;
    expect(hub.publish({ channel: channel('a'), message: '{}' })).toBe(1);
    expect(hub.deliveries).toBe(3);
  });

  it('removes a subscriber without visiting 100,000 channels of others', () => {
    const hub = new Hub();
    const crowd = new Recorder();
    for (let n = 0; n < 100_000; n += 1) hub.subscribe(crowd, channel(`user:${n}`));
    const alice = new Recorder();
    for (const name of ['a', 'b', 'user:1']) hub.subscribe(alice, channel(name));
    const lookups = vi.spyOn(Map.prototype, 'get');
    const deletions = vi.spyOn(Set.prototype, 'delete');
    const scans = [
      vi.spyOn(Map.prototype, Symbol.iterator),
      vi.spyOn(Map.prototype, 'entries'),
      vi.spyOn(Map.prototype, 'keys'),
      vi.spyOn(Map.prototype, 'values'),
      vi.spyOn(Map.prototype, 'forEach'),
    ];

    hub.unsubscribe(alice);

    const counts = [lookups, deletions, ...scans].map((spy) => spy.mock.calls.length);
    vi.restoreAllMocks();
    // One lookup and one deletion for each of its channels; no scan.
    expect(counts).toEqual([3, 3, 0, 0, 0, 0, 0]);
    expect([hub.channels, hub.subscriptions]).toEqual([100_000, 100_000]);
  });

  it('agrees with a model of subscriber-channel pairs over random steps', () => {
    const subscriber = fc.nat({ max: 4 });
    const name = fc.constantFrom('a', 'b', '__proto__', 'constructor', '');
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('subscribe' as const), subscriber, name }),
        fc.record({ kind: fc.constant('remove' as const), subscriber }),
        fc.record({ kind: fc.constant('publish' as const), name }),
      ),
    );

    const kinds = fc.array(fc.constantFrom('', 'x', 'y'), { minLength: 5, maxLength: 5 });

    fc.assert(
      fc.property(steps, kinds, (all, letters) => {
        const hub = new Hub();
        const kindOf = new Map(['x', 'y'].map((letter) => [letter, new Prefixing(letter)]));
        const subscribers = letters.map((letter) => new Recorder(kindOf.get(letter)));
        const at = (index: number) => subscribers[index] as Recorder;
        let pairs: (readonly [number, string])[] = [];
        let deliveries = 0;

        for (const step of all) {
          if (step.kind === 'subscribe') {
            hub.subscribe(at(step.subscriber), channel(step.name));
            deliveries += 1;
            if (!pairs.some(([who, what]) => who === step.subscriber && what === step.name)) {
              pairs.push([step.subscriber, step.name]);
            }
          } else if (step.kind === 'remove') {
            hub.unsubscribe(at(step.subscriber));
            pairs = pairs.filter(([who]) => who !== step.subscriber);
          } else {
            const before = subscribers.map(({ frames }) => frames.length);
            const askedBefore = [...kindOf.values()].map(({ asked }) => asked);
            const expected = pairs.filter(([, what]) => what === step.name).map(([who]) => who);
            expect(hub.publish({ channel: channel(step.name), message: '{}' })).toBe(
              expected.length,
            );
            deliveries += expected.length;
            subscribers.forEach(({ frames }, index) => {
              const received = frames.slice(before[index]).map((frame) => `${payloadOf(frame)}`);
              expect(received).toEqual(expected.includes(index) ? [`${letters[index]}{}`] : []);
            });
            [...kindOf].forEach(([letter, { asked }], index) => {
              const isThere = expected.some((who) => letters[who] === letter);
              expect(asked - (askedBefore[index] ?? 0)).toBe(isThere ? 1 : 0);
            });
          }
          expect(hub.subscriptions).toBe(pairs.length);
          expect(hub.channels).toBe(new Set(pairs.map(([, what]) => what)).size);
          expect(hub.deliveries).toBe(deliveries);
        }
      }),
    );
  });
});
