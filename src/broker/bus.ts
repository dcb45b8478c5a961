import type { PublicationBatch } from '../protocol/publishing.ts';

/**
 * Carries texts between nodes, by topic, in one order that is the same for every node. A bus may be lost and come
 * back; what it carried meanwhile is lost too, and so is every subscription.
 */
export interface Bus {
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
  /** Resolves when all that is published from now on arrives; rejects when the bus was lost before that. */
  subscribe(topics: readonly string[]): Promise<void>;
  unsubscribe(topics: readonly string[]): void;
  /** Treats the bus as lost, because it does not carry what it took. As after any loss it comes `up` by itself. */
  reset(reason: string): void;
  close(): Promise<void>;
}

/** Texts that are published together. The text at `index` is `HEAD:INDEX TEXT`; many topics may share a `TEXT`. */
export interface BusBatch {
  readonly head: string;
  readonly topics: readonly string[];
  /** Of each topic, which of the texts it gets. */
  readonly textOf: readonly number[];
  readonly texts: readonly string[];
  readonly jti: string | undefined;
}

/** How many nodes the texts were handed to, added up over all of them; `duplicate` when the `jti` was known. */
export type BatchOutcome = number | 'duplicate';

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
  return { head, topics: publications.map(({ channel }) => prefix + channel), textOf, texts, jti };
}

/** The text that is published to the topic at `index`. */
export function batchText(head: string, index: number, text: string): string {
  return `${head}:${index} ${text}`;
}

export interface BusListener {
  /** The bus is there, without any subscription. */
  up(): void;
  /** The bus is lost; it comes `up` again by itself. */
  down(): void;
  message(topic: string, text: string): void;
}
