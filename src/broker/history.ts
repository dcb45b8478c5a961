import type { Channel } from '../protocol/channel.ts';
import type { GapReason } from '../telemetry/history-metrics.ts';

export type { GapReason };

/** What a client that comes back asks for. */
export interface RecoveryRequest {
  /** Without repetitions, in the order of the token. */
  readonly channels: readonly Channel[];
  /** The position it has come to, as it sent it; null when it begins now. */
  readonly since: string | null;
  /** How many messages are replayed at most. A channel that would exceed it is a gap, and does not stop the others. */
  readonly maxMessages: number;
  /** How many bytes of UTF-8 the replayed texts may have. */
  readonly maxBytes: number;
}

/** A message that was kept. */
export interface KeptPublication {
  readonly channel: Channel;
  /** The JSON text that subscribers receive. */
  readonly message: string;
  readonly position: string;
}

/** The answer to a request. */
export interface Recovery {
  /** Where the one order of broadcasts stands in the step of the answer. Undefined when nothing is kept. */
  readonly position: string | undefined;
  /** Of each channel, how many messages were missed, or why that is not known. Empty when `since` is null. */
  readonly verdicts: readonly (number | GapReason)[];
  /** All that was missed, in the one order. */
  readonly publications: readonly KeptPublication[];
}

/** How far behind the position may be that a client on quiet channels knows, in milliseconds. */
const MAX_TICK_MS = 3_000;
/** So many positions are told while one message is kept: a client comes back with the last that it was told. */
const TICKS_WHILE_KEPT = 4;

/** How often the position of now has to be told, in milliseconds, where messages are kept for so long. */
export function tickIntervalMs(historyMs: number): number {
  return Math.min(MAX_TICK_MS, historyMs / TICKS_WHILE_KEPT);
}

/** The answer where nothing is kept. */
export function recoverNothing({ channels, since }: RecoveryRequest): Recovery {
  const verdicts = since === null ? [] : channels.map(() => 'off' as const);
  return { position: undefined, verdicts, publications: [] };
}

/** What an operator can see of a history. */
export interface HistoryStats {
  /** Messages that are kept now. */
  readonly entries: number;
  /** Channels of which something is kept now. */
  readonly channels: number;
  /** What the messages count as, in bytes. */
  readonly bytes: number;
}
