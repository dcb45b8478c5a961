import fc from 'fast-check';
import { seedFor, type Target } from './attack.ts';

/** Random JSON texts. Each round and each `name` has others. */
export function randomJson(target: Target, name: string, count: number): string[] {
  return fc.sample(fc.json({ maxDepth: 4, noUnicodeString: false } as object), {
    numRuns: count,
    seed: seedFor(target, name),
  });
}
