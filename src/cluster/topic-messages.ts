import type { BusBatch } from '../broker/bus.ts';

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
  | ({ readonly kind: 'publish batch'; readonly id: number } & BusBatch)
  | { readonly kind: 'store answer'; readonly jti: string; readonly text: string }
  | { readonly kind: 'find answer'; readonly id: number; readonly jti: string };

/** What the primary tells a worker. */
export type ToWorker =
  | { readonly kind: 'done'; readonly id: number; readonly reached: number }
  /** The `jti` of the batch was known; nothing was published. */
  | { readonly kind: 'duplicate'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly text: string | undefined }
  | { readonly kind: 'message'; readonly topic: string; readonly text: string }
  | BatchPart;

/** The part of a batch that one worker gets. */
export interface BatchPart {
  readonly kind: 'batch part';
  readonly head: string;
  readonly topics: string[];
  /** The place in the whole batch, and the text, of each topic. */
  readonly indexes: number[];
  readonly textOf: number[];
  readonly texts: string[];
}

/** What a message costs beside its texts while it waits to be read. */
const MESSAGE_BYTES = 64;

/** About how many bytes these take on their way. */
export function bytesOf(messages: readonly (ToPrimary | ToWorker)[]): number {
  let bytes = 0;
  for (const message of messages) {
    bytes += MESSAGE_BYTES;
    if ('text' in message) bytes += message.text?.length ?? 0;
    if ('topic' in message) bytes += message.topic.length;
    if ('topics' in message) for (const topic of message.topics) bytes += topic.length;
    if ('texts' in message) for (const text of message.texts) bytes += text.length;
  }
  return bytes;
}
