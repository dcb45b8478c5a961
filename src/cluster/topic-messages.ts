import type { BusBatch, BusRecovery, BusRecoveryRequest } from '../broker/bus.ts';

/** What a worker tells the primary. */
export type ToPrimary =
  /** The worker starts over, without any topic. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'subscribe'; readonly id: number; readonly topics: readonly string[] }
  | { readonly kind: 'unsubscribe'; readonly topics: readonly string[] }
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly topic: string;
      readonly text: string;
    }
  | ({ readonly kind: 'publish batch'; readonly id: number } & SentBatch)
  | ({ readonly kind: 'recover'; readonly id: number } & BusRecoveryRequest)
  | { readonly kind: 'store answer'; readonly jti: string; readonly text: string }
  | { readonly kind: 'find answer'; readonly id: number; readonly jti: string };

/** `kept` travels only with history. */
export type SentBatch = Omit<BusBatch, 'kept'> & Partial<Pick<BusBatch, 'kept'>>;

/** What the primary tells a worker. */
export type ToWorker =
  | {
      readonly kind: 'done';
      readonly id: number;
      readonly reached: number;
      /** Of a batch, with history. */
      readonly position?: string;
    }
  /** The `jti` of the batch was known; nothing was published. */
  | { readonly kind: 'duplicate'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly text: string | undefined }
  | { readonly kind: 'message'; readonly topic: string; readonly text: string }
  | BatchPart
  | RecoveredTexts
  /** Everything up to this position has been sent to the worker. */
  | { readonly kind: 'reached'; readonly position: string };

/** The answer to `recover`. */
export interface RecoveredTexts extends Omit<BusRecovery, 'publications'> {
  readonly kind: 'recovered';
  readonly id: number;
  /** The place of its topic in the request, and the position, of each text. */
  readonly indexes: readonly number[];
  readonly positions: readonly string[];
  readonly texts: readonly string[];
}

/** The part of a batch that one worker gets. */
export interface BatchPart {
  readonly kind: 'batch part';
  readonly head: string;
  readonly topics: string[];
  /** The place in the whole batch, and the text, of each topic. */
  readonly indexes: number[];
  readonly textOf: number[];
  readonly texts: string[];
  /** Of each topic, with history; undefined for what is not kept. */
  readonly positions?: (string | undefined)[];
}

/** What a message, and each position, costs beside its texts while it waits to be read. */
const MESSAGE_BYTES = 64;
const POSITION_BYTES = 32;

/** About how many bytes these take on their way. */
export function bytesOf(messages: readonly (ToPrimary | ToWorker)[]): number {
  let bytes = 0;
  for (const message of messages) {
    bytes += MESSAGE_BYTES;
    if ('text' in message) bytes += message.text?.length ?? 0;
    if ('topic' in message) bytes += message.topic.length;
    if ('topics' in message) for (const topic of message.topics) bytes += topic.length;
    if ('texts' in message) for (const text of message.texts) bytes += text.length;
    if ('positions' in message) bytes += (message.positions?.length ?? 0) * POSITION_BYTES;
  }
  return bytes;
}
