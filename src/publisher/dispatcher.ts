import type { Broadcast, Encode } from './broadcast.ts';
import { BifrostError } from './error.ts';
import { MAX_REQUESTS } from './limits.ts';
import { type Batch, type Call, type PublishedBroadcast, takeBatch } from './queue.ts';
import { createSender, type Fail } from './sender.ts';
import type { Sign } from './sign.ts';

/** Some edge runtimes have no `setImmediate`; timers take longer. */
interface Runtime {
  readonly setImmediate?: (callback: () => void) => unknown;
}

export type Dispatch = (
  broadcasts: readonly Broadcast[],
  options?: { readonly signal?: AbortSignal | undefined },
) => Promise<PublishedBroadcast[]>;

/** Makes what sends broadcasts: checks them all first, and resolves to their results in the same order. */
export const createDispatcher = (
  encode: Encode,
  endpoint: string,
  sign: Sign,
  isBatching: boolean,
): Dispatch => {
  // In the order of the calls.
  const waiting = new Set<Call>();
  const underWay = new Set<Batch>();
  let isScheduled = false;
  let hasAborted = false;

  const fail: Fail = (call, code, details, message = code) => {
    call.reject(
      new BifrostError(message, { code, mayHaveBeenDelivered: !waiting.delete(call), ...details }),
    );
  };
  const send = createSender(endpoint, sign, isBatching, waiting, fail);

  /** Does at the end of this turn of the event loop what there is to do: all calls of the turn travel together. */
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    ((globalThis as Runtime).setImmediate ?? setTimeout)(async () => {
      isScheduled = false;
      if (hasAborted) {
        for (const call of [...waiting, ...underWay].flat()) {
          if (call.signal?.aborted) fail(call, 'ABORTED', { cause: call.signal.reason });
        }
      }
      hasAborted = false;

      if (underWay.size >= MAX_REQUESTS) return;
      const batch = takeBatch(waiting, underWay);
      if (!batch[0]) return;
      schedule();
      underWay.add(batch);
      await send(batch);
      underWay.delete(batch);
      schedule();
    });
  };

  /** However many calls a signal has, it has only one listener: adding the same again changes nothing. */
  const onAbort = () => {
    hasAborted = true;
    schedule();
  };

  return async (broadcasts, { signal } = {}) => {
    const calls = broadcasts.map(encode) as Call[];
    const results = calls.map(
      (call) =>
        new Promise<PublishedBroadcast>((resolve, reject) => {
          waiting.add(Object.assign(call, { signal, resolve, reject }));
        }),
    );
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    schedule();
    return Promise.all(results);
  };
};
