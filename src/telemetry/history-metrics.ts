import { type Counter, Registry } from 'prom-client';
import { createReasonCounter, registerGaugeRows } from './metric-rows.ts';

const GAP_REASONS = [
  // Nothing is kept.
  'off',
  // What the client sent is no position.
  'malformed',
  // The position is of another epoch: what was before this one is not known any more.
  'epoch',
  // The position was never given.
  'future',
  // Something that old has been dropped: by its age, or because all channels together took too many bytes.
  'age',
  // The channel had more messages than are kept of one.
  'messages',
  // More was missed than is replayed at once.
  'limit',
] as const;

/** Why it cannot be proved that a client gets all that it missed of a channel. */
export type GapReason = (typeof GAP_REASONS)[number];

/** What a history shows of itself. */
export interface MeasuredHistory {
  readonly entries: number;
  readonly channels: number;
  readonly bytes: number;
}

/** The metrics of a process that keeps messages and serves nobody itself. */
export function createHistoryRegistry(history: MeasuredHistory): Registry {
  const registry = new Registry();
  registerHistory(registry, history);
  return registry;
}

export function registerHistory(registry: Registry, history: MeasuredHistory): void {
  registerGaugeRows(registry, [
    [
      'bifrost_history_messages',
      'Messages kept now for clients that come back.',
      () => history.entries,
    ],
    ['bifrost_history_bytes', 'Bytes that count towards HISTORY_BYTES now.', () => history.bytes],
    [
      'bifrost_history_channels',
      'Channels of which messages are kept now.',
      () => history.channels,
    ],
  ]);
}

export function createGaps(registry: Registry): Counter<'reason'> {
  return createReasonCounter(registry, GAP_REASONS, {
    name: 'bifrost_recovery_gaps_total',
    help: 'Channels of which a client that came back could not be given what it had missed, by the reason.',
  });
}
