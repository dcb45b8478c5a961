import { afterEach, expect, vi } from 'vitest';
import {
  type BifrostError,
  BifrostPublisher,
  type PublisherOptions,
} from '../../../src/publisher/index.ts';
import { type Fate, type Posted, startBroadcastDouble } from '../../support/broadcast-double.ts';
import { SECRET } from '../../support/tokens.ts';

export const MESSAGE = { event: 'greeting', data: 'Hello' };

afterEach(() => {
  vi.useRealTimers();
});

/** A double and a publisher that posts to it. */
export async function start(
  decide?: (posted: Posted, n: number) => Fate | Promise<Fate>,
  options: Partial<PublisherOptions> = {},
) {
  const double = await startBroadcastDouble(decide);
  return { double, bifrost: createPublisher(double.url, options) };
}

export const createPublisher = (url: string, options: Partial<PublisherOptions> = {}) =>
  new BifrostPublisher({ url, secret: SECRET, ...options });

/** The error of a call that fails. */
export const errorOf = (call: Promise<unknown>): Promise<BifrostError> =>
  call.then(
    () => expect.unreachable(),
    (error) => error,
  );

/** Fates for the first requests; the others are delivered. */
export const fates =
  (...first: Fate[]) =>
  (_: Posted, n: number): Fate =>
    first[n] ?? 'deliver';

/** Holds each of so many requests until there are four. */
export function inFours(count: number) {
  const held: (() => void)[] = [];
  return (_: Posted, n: number): Promise<Fate> => {
    const answered = new Promise<Fate>((resolve) => held.push(() => resolve('deliver')));
    if (held.length === 4) held.shift()?.();
    if (n === count - 1) for (const answer of held) answer();
    return answered;
  };
}

/** Counts the requests that the publisher has under way; the server may not have seen them all yet. */
export function watchRequests() {
  const requests = { now: 0, peak: 0 };
  const { fetch } = globalThis;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (...args) => {
    requests.now += 1;
    requests.peak = Math.max(requests.peak, requests.now);
    try {
      return await fetch(...args);
    } finally {
      requests.now -= 1;
    }
  });
  return requests;
}

/** Pauses between attempts are as short as they may be. */
export function withoutJitter(): void {
  vi.spyOn(Math, 'random').mockReturnValue(0);
}

/** A promise that is resolved from outside. */
export function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Resolves after all callbacks of this turn of the event loop. */
export const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

/** What `fetch` of Node rejects with when nobody listens. */
export function connectionRefused(): TypeError {
  const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  return Object.assign(new TypeError('fetch failed'), { cause });
}
