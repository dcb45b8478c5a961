// What must be true of every broadcast, judged from the outside: from what was posted, what was answered, what each
// socket received and when a node was killed or lost Redis. All times are of one clock, in milliseconds since 1970.

/** What came of a `POST /broadcast`. */
export type Answer = 'success' | 'partial' | 'unavailable' | 'none';

export interface Posted {
  readonly sequence: number;
  readonly channel: string;
  readonly postedAt: number;
  /** When the answer was there, or it was clear that none would come. */
  readonly answeredAt: number;
  readonly answer: Answer;
  readonly deliveries: number;
}

/** Something that ended all websockets of a node. */
export interface Ending {
  readonly node: number;
  readonly at: number;
}

export interface History {
  /** In the order in which they were posted. */
  readonly posted: readonly Posted[];
  readonly kills: readonly Ending[];
  /** When nodes noticed that Redis was lost, by their own log: from then on they close with 1013. */
  readonly losses: readonly Ending[];
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

export interface Judgement {
  /** Messages that had to reach a socket. */
  required: number;
  missed: number;
  doubled: number;
  /** Messages that came to a socket after one that was posted after their answer. */
  reordered: number;
  /** Websockets that ended though neither their node was killed nor had it lost Redis. */
  unexplained: number;
  sessions: number;
  /** Sockets that received each broadcast, by sequence. */
  readonly received: Uint32Array;
  /** Which sequence came right after which, on any socket: `before * PAIR + after`. */
  readonly successions: number[];
  readonly faults: string[];
}

/** A node that is killed may take with it what it was handed in its last second. */
const LAST_SECOND_MS = 1_000;
const BROKER_LOST = 1013;
const PAIR = 2 ** 24;
const MAX_FAULTS = 10;

function lastBefore(endings: readonly Ending[], node: number, time: number): number | undefined {
  return endings.findLast((ending) => ending.node === node && ending.at <= time)?.at;
}

/**
 * Until when the session's node owed it every message: to the end of the run, to the second before the node was
 * killed, or to the moment at which it closed the socket because Redis was lost. Undefined if it had no right to end.
 */
function owedUntil(session: Session, history: History): number | undefined {
  const { node, connectedAt, closedAt, closeCode } = session;
  if (closedAt === undefined) return Number.POSITIVE_INFINITY;
  if (closeCode === BROKER_LOST) return lastBefore(history.losses, node, closedAt);
  if (closeCode !== undefined) return undefined;
  const killedAt = lastBefore(history.kills, node, closedAt);
  return killedAt === undefined || killedAt < connectedAt ? undefined : killedAt - LAST_SECOND_MS;
}

/** Judges sessions one by one; what needs all of them is left to the caller. */
export function judge(sessions: readonly Session[], history: History): Judgement {
  const { posted } = history;
  const bySequence = new Map(posted.map((broadcast) => [broadcast.sequence, broadcast]));
  const size = (posted.at(-1)?.sequence ?? 0) + 1;
  const judgement: Judgement = {
    required: 0,
    missed: 0,
    doubled: 0,
    reordered: 0,
    unexplained: 0,
    sessions: sessions.length,
    received: new Uint32Array(size),
    successions: [],
    faults: [],
  };
  const fault = (text: string) => {
    if (judgement.faults.length < MAX_FAULTS) judgement.faults.push(text);
  };
  const successions = new Set<number>();
  /** The session, by its number, that received each sequence last. */
  const holder = new Int32Array(size).fill(-1);

  for (const [index, session] of sessions.entries()) {
    let before: number | undefined;
    let latestPost = 0;
    for (const sequence of session.received) {
      if (holder[sequence] === index) {
        judgement.doubled += 1;
        fault(`${sequence} came twice to a socket of node ${session.node}`);
        continue;
      }
      holder[sequence] = index;
      judgement.received[sequence] = (judgement.received[sequence] ?? 0) + 1;
      if (before !== undefined) successions.add(before * PAIR + sequence);
      before = sequence;

      const broadcast = bySequence.get(sequence);
      if (broadcast === undefined) {
        judgement.doubled += 1;
        fault(`${sequence} was never posted`);
        continue;
      }
      // What was answered 503 was not promised, so neither was its place.
      const isPromised = broadcast.answer === 'success' || broadcast.answer === 'partial';
      if (isPromised && broadcast.answeredAt < latestPost) {
        judgement.reordered += 1;
        fault(`${sequence} came after one posted after its answer, on node ${session.node}`);
      }
      latestPost = Math.max(latestPost, broadcast.postedAt);
    }

    if (session.subscribedAt === undefined) continue;
    const until = owedUntil(session, history);
    if (until === undefined) {
      judgement.unexplained += 1;
      fault(`a socket of node ${session.node} ended with ${session.closeCode ?? 'no close frame'}`);
      continue;
    }
    for (const { sequence, channel, postedAt, answeredAt, answer } of posted) {
      if (answer !== 'success' || postedAt <= session.subscribedAt || answeredAt >= until) continue;
      if (!session.channels.includes(channel)) continue;
      judgement.required += 1;
      if (holder[sequence] === index) continue;
      judgement.missed += 1;
      fault(
        `${sequence} did not come to a socket of node ${session.node}, subscribed ` +
          `${postedAt - session.subscribedAt} ms before, owed for ${until - answeredAt} ms more, ` +
          `closed ${session.closedAt === undefined ? 'never' : `${session.closedAt - answeredAt} ms after`} ` +
          `with ${session.closeCode ?? 'no close frame'}`,
      );
    }
  }
  judgement.successions.push(...successions);
  return judgement;
}

/** Whether some order of all broadcasts contains the order of every socket. */
export function haveOneOrder(successions: Iterable<number>): boolean {
  const after = new Map<number, number[]>();
  const waitsFor = new Map<number, number>();
  for (const pair of new Set(successions)) {
    const first = Math.floor(pair / PAIR);
    const second = pair % PAIR;
    const known = after.get(first);
    if (known === undefined) after.set(first, [second]);
    else known.push(second);
    waitsFor.set(second, (waitsFor.get(second) ?? 0) + 1);
    if (!waitsFor.has(first)) waitsFor.set(first, 0);
  }
  // What nothing comes before may be taken away. What is left over in the end goes round in circles.
  const free = [...waitsFor].filter(([, count]) => count === 0).map(([sequence]) => sequence);
  let taken = 0;
  for (let sequence = free.pop(); sequence !== undefined; sequence = free.pop()) {
    taken += 1;
    for (const next of after.get(sequence) ?? []) {
      const count = (waitsFor.get(next) ?? 0) - 1;
      waitsFor.set(next, count);
      if (count === 0) free.push(next);
    }
  }
  return taken === waitsFor.size;
}

/** The broadcasts whose `deliveries` must be exact, and those for which they were not. */
export function compareTotals(
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
