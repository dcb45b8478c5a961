import type { PublicationBatch } from '../protocol/publishing.ts';
import type { GapReason } from './history.ts';

/**
 * Carries texts between nodes, by topic, in one order that is the same for every node. A bus may be lost and come
 * back; what it carried meanwhile is lost too, and so is every subscription.
 */
export interface Bus {
  /**
   * Whether the bus keeps what is published, and gives it positions. All broadcasts go through `publishBatch` then, also
   * a single one; if not, `recover` is never called.
   */
  readonly hasHistory: boolean;
  /** Starts; `listener` is told what happens from then on. */
  open(listener: BusListener): void;
  /** Resolves to the number of nodes that the text was handed to. Rejects when it is not known to have been sent. */
  publish(topic: string, text: string): Promise<number>;
  /**
   * Publishes all texts in their order and in one step: nothing else that is published comes between them. With a `jti`
   * that was seen in the last 120 seconds nothing is published. Rejects when it is not known to have been sent.
   */
  publishBatch(batch: BusBatch): Promise<BatchOutcome>;
  /** Keeps the answer to a batch that this node published with a `jti`, for others to find. Best effort. */
  storeAnswer(jti: string, answer: string): void;
  /**
   * Resolves to the answer that was stored for a `jti`, which is waited for two seconds at most; undefined when none is
   * known by then. Never rejects.
   */
  findAnswer(jti: string): Promise<string | undefined>;
  /** How many recoveries may be under way at a time; four when undefined. Those that begin now are not counted. */
  readonly maxRecoveries?: number;
  /**
   * Reads what was missed. The answer arrives as `recovered` with this `id`, in its place among the messages: what comes
   * behind it is newer. Resolves when the answer is on its way; rejects when it cannot be read, and none arrives then.
   */
  recover(id: number, request: BusRecoveryRequest): Promise<void>;
  /** Resolves when all that is published from now on arrives; rejects when the bus was lost before that. */
  subscribe(topics: readonly string[]): Promise<void>;
  unsubscribe(topics: readonly string[]): void;
  /** Treats the bus as lost, because it does not carry what it took. As after any loss it comes `up` by itself. */
  reset(reason: string): void;
  close(): Promise<void>;
}

/**
 * Texts that are published together. The text at `index` is `HEAD:INDEX TEXT`, with history and if it is kept
 * `HEAD:INDEX@POSITION TEXT`; many topics may share a `TEXT`. Each has a position of its own, in their order.
 */
export interface BusBatch {
  readonly head: string;
  readonly topics: readonly string[];
  /** Of each topic, which of the texts it gets. */
  readonly textOf: readonly number[];
  readonly texts: readonly string[];
  /** Of each topic, whether a bus with history keeps what is published to it. */
  readonly kept: readonly boolean[];
  readonly jti: string | undefined;
}

/** What became of a batch; `duplicate` when the `jti` was known. */
export type BatchOutcome = BatchSent | 'duplicate';

interface BatchSent {
  /** How many nodes the texts were handed to, added up over all of them. */
  readonly reached: number;
  /** That of the last text, whether it is kept or not. Undefined without history. */
  readonly position: string | undefined;
}

/** What a node asks for on behalf of a subscriber that has come back. */
export interface BusRecoveryRequest {
  /** Without repetitions. The first are served first. */
  readonly topics: readonly string[];
  /** As the client sent it; null when only the position of now is asked for. */
  readonly since: string | null;
  /** How many texts are read at most. A topic that would exceed it is a gap, and does not stop the others. */
  readonly maxMessages: number;
  /** How many bytes of UTF-8 they may have. */
  readonly maxBytes: number;
}

export interface BusRecovery {
  /** Where the one order stands: everything before this answer is lower or the same, everything after it is higher. */
  readonly position: string;
  /** Of each topic, how many texts were missed, or why that is not known. Empty when `since` is null. */
  readonly verdicts: readonly (number | GapReason)[];
  /** All that was missed, merged by position. */
  readonly publications: readonly RecoveredPublication[];
}

interface RecoveredPublication {
  /** The place of its topic in the request. */
  readonly index: number;
  readonly position: string;
  readonly message: string;
}

/** What the topics of channels begin with; `prefix` is that of all topics. */
export function channelTopicsOf(prefix: string): string {
  return `${prefix}channel:`;
}

/** Topics are the names of the channels behind `prefix`. Publications with the same text follow each other. */
export function toBusBatch(
  { publications, jti }: PublicationBatch,
  head: string,
  prefix: string,
): BusBatch {
  const texts: string[] = [];
  const textOf = publications.map(({ message }) => {
    if (texts.at(-1) !== message) texts.push(message);
    return texts.length - 1;
  });
  const topics = publications.map(({ channel }) => prefix + channel);
  const kept = publications.map(({ isKept }) => isKept !== false);
  return { head, topics, textOf, texts, kept, jti };
}

/** The text that is published to the topic at `index`. `position` is undefined for one that is not kept. */
export function batchText(
  head: string,
  index: number,
  text: string,
  position: string | undefined,
): string {
  return position === undefined
    ? `${head}:${index} ${text}`
    : `${head}:${index}@${position} ${text}`;
}

export interface BusListener {
  /** The bus is there, without any subscription. */
  up(): void;
  /** The bus is lost; it comes `up` again by itself. */
  down(): void;
  message(topic: string, text: string): void;
  /** The answer to `recover`, called in the very step in which the bus has come to it, never a microtask later. */
  recovered(id: number, recovery: BusRecovery): void;
  /** The bus cannot keep anything now, and so refuses to publish, or can again. Everything else goes on. */
  full(isFull: boolean): void;
  /** Everything up to this position has been given to this listener. Called every few seconds, with history only. */
  reached(position: string): void;
}
