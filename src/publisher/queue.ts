import type { EncodedBroadcast } from './broadcast.ts';
import type { BifrostError } from './error.ts';
import { MAX_LOOKED_AT, MAX_WEIGHT } from './limits.ts';

/** What became of a broadcast. */
export interface PublishedBroadcast {
  /** How many sockets it was handed to. Undefined when it was delivered, but nobody knows to how many. */
  readonly deliveries: number | undefined;
  /** True when not every server confirmed in time: there may be more deliveries. */
  readonly partial?: true;
  /** A place in the server's one order of broadcasts, at this one or after it; missing when the server names none. */
  readonly position?: string;
}

/** A broadcast that somebody waits for. */
export interface Call extends EncodedBroadcast {
  readonly signal: AbortSignal | undefined;
  readonly resolve: (published: PublishedBroadcast) => void;
  readonly reject: (error: BifrostError) => void;
}

/** Calls that travel together, in the order in which they were made. */
export type Batch = readonly Call[];

/**
 * Takes the calls for the next request out of those that wait. None shares a channel with a call under way, nor with
 * an earlier one that stays behind, so every channel keeps its order. Empty when all are blocked.
 */
export const takeBatch = (waiting: Set<Call>, underWay: Iterable<Batch>): Batch => {
  const blocked = new Set([...underWay].flat().flatMap((call) => call.channels));
  const batch: Call[] = [];
  let weight = 0;
  let lookedAt = 0;
  for (const call of waiting) {
    if (lookedAt++ > MAX_LOOKED_AT) break;
    if (
      // A call that is too large for any request goes alone.
      (weight && weight + call.weight > MAX_WEIGHT) ||
      call.channels.some((channel) => blocked.has(channel))
    ) {
      for (const channel of call.channels) blocked.add(channel);
    } else {
      weight += call.weight;
      waiting.delete(call);
      batch.push(call);
    }
  }
  return batch;
};
