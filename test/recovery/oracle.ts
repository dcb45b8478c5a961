import type { KeptPublication, Recovery, RecoveryRequest } from '../../src/broker/history.ts';
import { MemoryHistory, type MemoryHistoryOptions } from '../../src/broker/history-memory.ts';
import { parsePosition } from '../../src/protocol/position.ts';
import type { Publication } from '../../src/protocol/publishing.ts';

/** A broadcast as it was really handed to the one order. */
export interface Told {
  /** In milliseconds that have really passed, whatever the clock says. */
  readonly at: number;
  readonly channel: string;
  readonly message: string;
  readonly isKept: boolean;
  readonly epoch: string;
  readonly number: number;
}

/** What the server was told to say to a token. */
export interface Answer {
  readonly request: RecoveryRequest;
  readonly recovery: Recovery;
  /** How much time had really passed, in milliseconds. */
  readonly at: number;
}

/** What an entry of the history counts beside the bytes of its message and its channel. */
const ENTRY_BYTES = 256;

/** Knows what was broadcast, in which order, from the only place that all broadcasts pass. */
export class Oracle {
  readonly #limits: MemoryHistoryOptions;
  /** By channel, in the one order, of all epochs. */
  readonly #told = new Map<string, Told[]>();
  readonly #epochs: string[] = [];
  /** Replays of what was older than it may be. */
  readonly tooOld: string[] = [];

  constructor(limits: MemoryHistoryOptions) {
    this.#limits = limits;
  }

  /** `at` is how much time has really passed, in milliseconds. */
  record({ channel, message, isKept }: Publication, position: string, at: number): void {
    const { epoch, number } = parse(position);
    if (this.#epochs.at(-1) !== epoch) this.#epochs.push(epoch);
    const told = this.of(channel);
    told.push({ at, channel, message, isKept: isKept !== false, epoch, number });
    this.#told.set(channel, told);
  }

  /** Looks at what is replayed: nothing of it may be older than the history keeps it. */
  judgeAge(publications: readonly KeptPublication[], at: number): void {
    for (const { channel, message } of publications) {
      const told = this.of(channel).find((each) => each.message === message);
      if (told !== undefined && at - told.at > this.#limits.historyMs) this.tooOld.push(message);
    }
  }

  /** Everything that was broadcast to the channel. */
  of(channel: string): Told[] {
    return this.#told.get(channel) ?? [];
  }

  /** How much of it came before the position, or with it. */
  countUpTo(channel: string, position: string): number {
    const { epoch, number } = parse(position);
    const age = (each: string) => this.#epochs.indexOf(each);
    // An epoch in which nothing was broadcast yet is the newest.
    const mine = age(epoch) === -1 ? this.#epochs.length : age(epoch);
    return this.of(channel).filter(
      (told) => age(told.epoch) < mine || (told.epoch === epoch && told.number <= number),
    ).length;
  }

  /** What of the channel was kept between two positions of one epoch, the first of them left out. */
  keptBetween(channel: string, since: string, now: string): Told[] {
    const from = parse(since);
    const to = parse(now);
    return this.of(channel).filter(
      ({ epoch, number, isKept }) =>
        isKept && epoch === to.epoch && number > from.number && number <= to.number,
    );
  }

  /**
   * Whether the history must still have had all that the client missed of a channel when it was answered: a gap is false
   * then. `before` are the channels of the request that were recovered before this one.
   */
  mustHave(channel: string, { request, recovery, at }: Answer, before: readonly string[]): boolean {
    const { since, maxMessages, maxBytes } = request;
    const now = String(recovery.position);
    const from = since === null ? undefined : parsePosition(since);
    const to = parse(now);
    if (since === null || from === undefined || from.epoch !== to.epoch || from.number > to.number)
      return false;
    const { historyMs, historyMessages, historyBytes } = this.#limits;
    if (from.number < to.number - historyMs * 1_000) return false;

    const missed = this.keptBetween(channel, since, now);
    if (missed.length > historyMessages) return false;
    // As long as all that is newer fits, nothing of it was pushed out.
    const newer = [...this.#told.keys()].flatMap((each) => this.keptBetween(each, since, now));
    if (newer.some((told) => at - told.at > historyMs)) return false;
    const costs = newer.map(
      (told) => Buffer.byteLength(told.message) + Buffer.byteLength(told.channel) + ENTRY_BYTES,
    );
    if (costs.some((cost) => cost > historyBytes / 4)) return false;
    if (sum(costs) > historyBytes) return false;

    const replayed = [...before.flatMap((each) => this.keptBetween(each, since, now)), ...missed];
    const bytes = sum(replayed.map(({ message }) => Buffer.byteLength(message)));
    return replayed.length <= maxMessages && bytes <= maxBytes;
  }
}

/** The history of the server under test, which tells the oracle what passes. */
export class WatchedHistory extends MemoryHistory {
  readonly #oracle: Oracle;
  readonly #elapsed: () => number;
  #hasEnded = false;

  /** `now` is the clock of the server, `elapsed` how many milliseconds have really passed. */
  constructor(
    limits: MemoryHistoryOptions,
    now: () => number,
    { oracle, elapsed }: { readonly oracle: Oracle; readonly elapsed: () => number },
  ) {
    super(limits, now);
    this.#oracle = oracle;
    this.#elapsed = elapsed;
  }

  override recover(request: RecoveryRequest): Recovery {
    const recovery = super.recover(request);
    if (!this.#hasEnded) this.#oracle.judgeAge(recovery.publications, this.#elapsed());
    return recovery;
  }

  override add(publication: Publication): string {
    const position = super.add(publication);
    if (!this.#hasEnded) this.#oracle.record(publication, position, this.#elapsed());
    return position;
  }

  /** Its process has ended: what it would still hand out reaches nobody. */
  end(): void {
    this.#hasEnded = true;
  }
}

function parse(text: string): { readonly epoch: string; readonly number: number } {
  const position = parsePosition(text);
  if (position === undefined) throw new Error(`${text} is no position`);
  return position;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
