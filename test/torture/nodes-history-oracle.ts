// Checks what the contract promises to clients that come back: each broadcast once and in order, or a notice that some
// may be missing. Judged by positions: that of every message is known from whoever received it.
import type { Posted } from './nodes-oracle.ts';

/** What a client saw, in its order. */
export type ClientEvent =
  /** It joined the channel for the first time, or after a gap, at this position. */
  | {
      readonly kind: 'joined';
      readonly channel: string;
      readonly number: number;
      readonly at: number;
    }
  | ({ readonly kind: 'message'; readonly channel: string } & Received)
  /** It was told that it may have missed something on the channel, in milliseconds since 1970. */
  | { readonly kind: 'gap'; readonly channel: string; readonly at: number };

interface Received {
  readonly sequence: number;
  readonly epoch: string;
  readonly number: number;
}

export interface HistoryVerdict {
  /** Messages that had to come. */
  required: number;
  missed: number;
  doubled: number;
  /** Messages that did not come behind the one before, by their position. */
  reordered: number;
  /** Positions that two messages have, and messages that were published once and have two. */
  ambiguous: number;
  gaps: number;
  readonly faults: string[];
}

interface Place {
  readonly sequence: number;
  readonly number: number;
}

const MAX_FAULTS = 10;

/**
 * Checks all clients together; each of them received the last message that was posted to each of its channels.
 * `mayForget`: whether Redis may have lost what it knew of batches, so that one that was posted again came twice.
 */
export function checkClients(
  clients: readonly (readonly ClientEvent[])[],
  posted: readonly Posted[],
  mayForget: boolean,
): HistoryVerdict {
  const checker = new HistoryChecker(mayForget);
  checker.findOrder(clients, posted);
  for (const [client, events] of clients.entries()) checker.check(client, events);
  return checker.verdict;
}

class HistoryChecker {
  readonly verdict: HistoryVerdict = {
    required: 0,
    missed: 0,
    doubled: 0,
    reordered: 0,
    ambiguous: 0,
    gaps: 0,
    faults: [],
  };
  readonly #mayForget: boolean;
  /** The messages of each channel that somebody received, by their number: the clock goes on from epoch to epoch. */
  readonly #order = new Map<string, Place[]>();
  /** Answered with 200 and received by nobody. */
  #unseen: readonly Posted[] = [];

  constructor(mayForget: boolean) {
    this.#mayForget = mayForget;
  }

  findOrder(clients: readonly (readonly ClientEvent[])[], posted: readonly Posted[]): void {
    const sequenceAt = new Map<number, number>();
    const numberOf = new Map<number, number>();
    for (const event of clients.flat()) {
      if (event.kind !== 'message') continue;
      const { sequence, number, channel } = event;
      if (sequenceAt.has(number)) {
        if (sequenceAt.get(number) !== sequence) this.#addAmbiguous(`${number} is of two messages`);
        continue;
      }
      sequenceAt.set(number, sequence);
      if (numberOf.has(sequence) && !this.#mayForget) {
        this.#addAmbiguous(`${sequence} has two positions`);
      }
      numberOf.set(sequence, number);
      const order = this.#order.get(channel);
      if (order === undefined) this.#order.set(channel, [{ sequence, number }]);
      else order.push({ sequence, number });
    }
    for (const order of this.#order.values()) order.sort((a, b) => a.number - b.number);
    this.#unseen = posted.filter(
      ({ sequence, answer }) => answer === 'success' && !numberOf.has(sequence),
    );
  }

  check(client: number, events: readonly ClientEvent[]): void {
    const reached = new Map<string, number>();
    const seen = new Set<number>();
    let last: Received | undefined;
    for (const event of events) {
      if (event.kind === 'gap') {
        this.verdict.gaps += 1;
        reached.delete(event.channel);
        continue;
      }
      const from = reached.get(event.channel);
      reached.set(event.channel, event.number);
      if (event.kind === 'joined') continue;
      if (from !== undefined) this.#checkBetween(client, event, from);
      if (seen.has(event.number)) {
        this.verdict.doubled += 1;
        this.#addFault(`client ${client} received ${event.sequence} twice`);
      }
      seen.add(event.number);
      if (last !== undefined && last.epoch === event.epoch && last.number >= event.number) {
        this.verdict.reordered += 1;
        this.#addFault(`client ${client} received ${event.sequence} behind ${last.sequence}`);
      }
      last = event;
    }
    this.#checkUnseen(client, events);
  }

  /** The client came to `from`, and then received the message: nothing of the channel was in between. */
  #checkBetween(
    client: number,
    { channel, sequence, number }: Received & { channel: string },
    from: number,
  ) {
    const order = this.#order.get(channel) ?? [];
    for (let at = firstAbove(order, from); at < order.length; at += 1) {
      const place = order[at] as Place;
      this.verdict.required += 1;
      if (place.number >= number) return;
      this.verdict.missed += 1;
      this.#addFault(`client ${client} missed ${place.sequence} before ${sequence} on ${channel}`);
    }
  }

  /** What was answered with 200 and came to nobody: who was on its channel must have been told of a gap later. */
  #checkUnseen(client: number, events: readonly ClientEvent[]): void {
    for (const { sequence, channel, postedAt } of this.#unseen) {
      const ofChannel = events.filter((event) => event.channel === channel);
      const joined = ofChannel[0];
      if (joined?.kind !== 'joined' || joined.at > postedAt) continue;
      this.verdict.required += 1;
      if (ofChannel.some((event) => event.kind === 'gap' && event.at >= postedAt)) continue;
      this.verdict.missed += 1;
      this.#addFault(`client ${client} missed ${sequence} on ${channel}, which nobody received`);
    }
  }

  #addAmbiguous(text: string): void {
    this.verdict.ambiguous += 1;
    this.#addFault(text);
  }

  #addFault(text: string): void {
    if (this.verdict.faults.length < MAX_FAULTS) this.verdict.faults.push(text);
  }
}

/** The index of the first place above `number`. */
function firstAbove(order: readonly Place[], number: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((order[middle] as Place).number <= number) low = middle + 1;
    else high = middle;
  }
  return low;
}
