import { Random } from '../../test/support/random.ts';

/** A connection that breaks: so many bytes after a moment, and for so long. */
export interface Cut {
  /** Since the start of the run. */
  readonly atMs: number;
  /** How many more bytes are received before the cut, which is at any byte of a frame or of the handshake. */
  readonly afterBytes: number;
  /** How long the client stays away. */
  readonly awayMs: number;
}

export interface CutPlanOptions {
  readonly seed: number;
  /** The last cut is before this. */
  readonly durationMs: number;
  readonly maxAwayMs: number;
}

const MIN_CUTS = 3;
const MAX_CUTS = 6;
/** A cut that would come while the client is still away comes this part of `maxAwayMs` after it is back, at most. */
const MAX_BACK_SHARE = 0.02;
/** Longer than the answer to a handshake, a confirmation and some messages together. Most cuts come sooner. */
const MAX_BYTES = 1_500;

/** The cuts of one client, the same ones for the same seed. Most are short and some are long, as on mobile networks. */
export function planCuts({ seed, durationMs, maxAwayMs }: CutPlanOptions): readonly Cut[] {
  const random = new Random(seed);
  const count = MIN_CUTS + random.below(MAX_CUTS - MIN_CUTS + 1);
  const moments = Array.from({ length: count }, () => random.fraction() * durationMs);
  const cuts: Cut[] = [];
  let backAtMs = 0;
  for (const moment of moments.toSorted((a, b) => a - b)) {
    const atMs = Math.max(moment, backAtMs + random.fraction() * maxAwayMs * MAX_BACK_SHARE);
    if (atMs >= durationMs) break;
    // Half of them come in the silence between two messages.
    const afterBytes =
      random.below(2) === 0 ? 0 : 1 + Math.floor(random.fraction() ** 3 * MAX_BYTES);
    const awayMs = maxAwayMs * random.fraction() ** 3;
    cuts.push({ atMs, afterBytes, awayMs });
    backAtMs = atMs + awayMs;
  }
  return cuts;
}
