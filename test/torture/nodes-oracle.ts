// Checks what the contract promises of every broadcast, from what was posted, answered and received, and from when a
// node was killed or lost Redis. All times are of one clock, in milliseconds since 1970.

import { succession } from './nodes-order.ts';

/** The outcome of a `POST /broadcast`, or of several that are retries of one. */
export type Answer = 'success' | 'partial' | 'unavailable' | 'none';

export interface Posted {
  readonly sequence: number;
  /** The first sequence of its batch; its own if it was posted singly. */
  readonly request: number;
  readonly channel: string;
  /** The first time, if it was posted again. */
  readonly postedAt: number;
  /** When the answer came, or the request failed; of the last one if there were several. */
  readonly answeredAt: number;
  readonly answer: Answer;
  readonly deliveries: number;
}

/** A moment at which all websockets of a node ended. */
export interface NodeEvent {
  readonly node: number;
  readonly at: number;
}

export interface History {
  /** In the order in which they were posted. */
  readonly posted: readonly Posted[];
  readonly kills: readonly NodeEvent[];
  /** When nodes logged that they lost Redis. From then on they close websockets with 1013. */
  readonly losses: readonly NodeEvent[];
}

/** The life of one websocket, as its client saw it. */
export interface Session {
  readonly node: number;
  readonly channels: readonly string[];
  readonly connectedAt: number;
  /** When all its channels were confirmed; undefined if they never were. */
  subscribedAt: number | undefined;
  /** Undefined while it is open. */
  closedAt: number | undefined;
  /** Of the server's close frame, if there was one. */
  closeCode: number | undefined;
  readonly received: number[];
}

export interface Verdict {
  /** Messages that had to reach a websocket. */
  required: number;
  missed: number;
  doubled: number;
  /** Messages that came to a websocket after one that was posted after their answer. */
  reordered: number;
  /** Messages of a batch that came before an earlier one of it, or apart from it. */
  interrupted: number;
  /** Websockets that ended though their node was neither killed nor had lost Redis. */
  unexplained: number;
  sessions: number;
  /** How many websockets received each broadcast, by sequence. */
  readonly received: Uint32Array;
  /** Which sequence came right after which, on any websocket; each a `succession`. */
  readonly successions: number[];
  readonly faults: string[];
}

/** A node that is killed may lose what it was handed in its last second. */
const LAST_SECOND_MS = 1_000;
const BROKER_LOST = 1013;
const MAX_FAULTS = 10;

function lastBefore(events: readonly NodeEvent[], node: number, time: number): number | undefined {
  return events.findLast((event) => event.node === node && event.at <= time)?.at;
}

/**
 * Until when the node had to deliver every message to the session: to the end of the run, to the second before the node
 * was killed, or to the moment at which it closed the websocket because it lost Redis. Undefined if none of these
 * explains the end of the session.
 */
function deliverableUntil(session: Session, history: History): number | undefined {
  const { node, connectedAt, closedAt, closeCode } = session;
  if (closedAt === undefined) return Number.POSITIVE_INFINITY;
  if (closeCode === BROKER_LOST) return lastBefore(history.losses, node, closedAt);
  if (closeCode !== undefined) return undefined;
  const killedAt = lastBefore(history.kills, node, closedAt);
  return killedAt === undefined || killedAt < connectedAt ? undefined : killedAt - LAST_SECOND_MS;
}

/** Checks sessions one by one. What needs the sessions of all processes is left to the caller. */
export function checkSessions(sessions: readonly Session[], history: History): Verdict {
  const checker = new SessionChecker(history);
  for (const session of sessions) checker.check(session);
  return checker.verdict;
}

class SessionChecker {
  readonly #history: History;
  readonly #bySequence: ReadonlyMap<number, Posted>;
  readonly #verdict: Verdict;
  readonly #successions = new Set<number>();
  /** The number of the last session that received each sequence. */
  readonly #lastReceiver: Int32Array;

  constructor(history: History) {
    const { posted } = history;
    const size = (posted.at(-1)?.sequence ?? 0) + 1;
    this.#history = history;
    this.#bySequence = new Map(posted.map((broadcast) => [broadcast.sequence, broadcast]));
    this.#lastReceiver = new Int32Array(size).fill(-1);
    this.#verdict = {
      required: 0,
      missed: 0,
      doubled: 0,
      reordered: 0,
      interrupted: 0,
      unexplained: 0,
      sessions: 0,
      received: new Uint32Array(size),
      successions: [],
      faults: [],
    };
  }

  get verdict(): Verdict {
    return { ...this.#verdict, successions: [...this.#successions] };
  }

  check(session: Session): void {
    const index = this.#verdict.sessions;
    this.#verdict.sessions += 1;
    this.#checkReceived(session, index);
    this.#checkInterrupted(session);
    if (session.subscribedAt !== undefined) this.#checkMissed(session, session.subscribedAt, index);
  }

  #checkReceived({ node, received }: Session, index: number): void {
    const verdict = this.#verdict;
    let previous: number | undefined;
    let latestPost = 0;
    for (const sequence of received) {
      if (this.#lastReceiver[sequence] === index) {
        verdict.doubled += 1;
        this.#addFault(`${sequence} came twice to a websocket of node ${node}`);
        continue;
      }
      this.#lastReceiver[sequence] = index;
      verdict.received[sequence] = (verdict.received[sequence] ?? 0) + 1;
      if (previous !== undefined) this.#successions.add(succession(previous, sequence));
      previous = sequence;

      const broadcast = this.#bySequence.get(sequence);
      if (broadcast === undefined) {
        verdict.doubled += 1;
        this.#addFault(`${sequence} was never posted`);
        continue;
      }
      // The contract promises a place in the order only to broadcasts that were answered 200.
      const isPromised = broadcast.answer === 'success' || broadcast.answer === 'partial';
      if (isPromised && broadcast.answeredAt < latestPost) {
        verdict.reordered += 1;
        this.#addFault(`${sequence} came after one posted after its answer, on node ${node}`);
      }
      latestPost = Math.max(latestPost, broadcast.postedAt);
    }
  }

  /** What a websocket receives of a batch comes in order, with nothing of another request in between. */
  #checkInterrupted({ node, received }: Session): void {
    const requests = new Set<number>();
    let previous: Posted | undefined;
    for (const sequence of received) {
      const broadcast = this.#bySequence.get(sequence);
      if (broadcast === undefined) continue;
      const { request } = broadcast;
      const isInPlace =
        request === previous?.request ? sequence > previous.sequence : !requests.has(request);
      if (!isInPlace) {
        this.#verdict.interrupted += 1;
        this.#addFault(`${sequence} of batch ${request} came out of place, on node ${node}`);
      }
      requests.add(request);
      previous = broadcast;
    }
  }

  #checkMissed(session: Session, subscribedAt: number, index: number): void {
    const { node, channels, closedAt, closeCode } = session;
    const code = closeCode ?? 'no close frame';
    const until = deliverableUntil(session, this.#history);
    if (until === undefined) {
      this.#verdict.unexplained += 1;
      this.#addFault(`a websocket of node ${node} ended with ${code}`);
      return;
    }
    for (const { sequence, channel, postedAt, answeredAt, answer } of this.#history.posted) {
      if (answer !== 'success' || postedAt <= subscribedAt || answeredAt >= until) continue;
      if (!channels.includes(channel)) continue;
      this.#verdict.required += 1;
      if (this.#lastReceiver[sequence] === index) continue;
      this.#verdict.missed += 1;
      const closed = closedAt === undefined ? 'never' : `${closedAt - answeredAt} ms after`;
      this.#addFault(
        `${sequence} did not come to a websocket of node ${node}, subscribed ${postedAt - subscribedAt} ms before, ` +
          `to be served for ${until - answeredAt} ms more, closed ${closed} with ${code}`,
      );
    }
  }

  #addFault(text: string): void {
    if (this.#verdict.faults.length < MAX_FAULTS) this.#verdict.faults.push(text);
  }
}

/** Compares `deliveries` of each answer with what arrived, where it must be exact. */
export function compareDeliveries(
  { posted, kills }: History,
  received: Uint32Array,
): { compared: number; wrong: number; faults: string[] } {
  let compared = 0;
  const faults: string[] = [];
  for (const { sequence, answer, deliveries, postedAt, answeredAt } of posted) {
    if (answer !== 'success') continue;
    const isDisturbed = kills.some(({ at }) => at >= postedAt && at <= answeredAt + LAST_SECOND_MS);
    if (isDisturbed) continue;
    compared += 1;
    const total = received[sequence] ?? 0;
    if (total !== deliveries) {
      faults.push(`${sequence} was answered with ${deliveries} deliveries and came to ${total}`);
    }
  }
  return { compared, wrong: faults.length, faults: faults.slice(0, MAX_FAULTS) };
}
