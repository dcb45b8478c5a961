import { POSITION_PATTERN } from '../protocol/position.ts';
import type { PublishedBatch } from './broker.ts';

/** What is remembered of a batch with a `jti`. */
export interface StoredResults {
  readonly results: readonly number[];
  readonly isPartial: boolean;
  /** Undefined without history. */
  readonly position: string | undefined;
}

/** Matches a whole number. 15 digits: every such number is exact, and so are sums of many. */
export const NUMBER_PATTERN = '(?:0|[1-9][0-9]{0,14})';
const STORED_RESULTS = new RegExp(
  `^(~?)(${NUMBER_PATTERN}(?: ${NUMBER_PATTERN}){0,999})(?:@(${POSITION_PATTERN.source}))?$`,
);
const UNKNOWN_RESULTS = { results: [], isPartial: true, position: undefined };

/**
 * The results of a batch as they are remembered: `2 5 0`, with a `~` before them when they are partial, and `@position`
 * behind them if there is one.
 */
export function encodeResults({ results, isPartial, position }: StoredResults): string {
  const suffix = position === undefined ? '' : `@${position}`;
  return `${isPartial ? '~' : ''}${results.join(' ')}${suffix}`;
}

/** Undefined when no node of ours can have stored the text. Never throws. */
export function parseResults(text: string): StoredResults | undefined {
  const [, partial, results, position] = STORED_RESULTS.exec(text) ?? [];
  if (results === undefined) return undefined;
  return { results: results.split(' ').map(Number), isPartial: partial === '~', position };
}

/** Adds up what was counted for each pair: one number for each entry, which has `entrySizes` of the pairs. */
export function sumByEntry(counts: readonly number[], entrySizes: readonly number[]): number[] {
  let next = 0;
  return entrySizes.map((size) => {
    let sum = 0;
    for (const end = next + size; next < end; next += 1) sum += counts[next] ?? 0;
    return sum;
  });
}

/** The answer to a duplicate, given the results of the first request as they were stored; undefined when unknown. */
export function duplicateOf(stored: string | undefined): PublishedBatch {
  return { ...((stored && parseResults(stored)) || UNKNOWN_RESULTS), isDuplicate: true };
}
