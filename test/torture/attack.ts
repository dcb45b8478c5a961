import { hash } from 'node:crypto';
import type { Outcome } from './result-collector.ts';

/** Where, how often and with which random numbers an attack runs. */
export interface Target {
  readonly port: number;
  readonly quick: boolean;
  readonly seed: number;
  readonly round: number;
}

export type Attack = (target: Target) => Promise<Outcome>;

/** A count of a full run as it is in this run: a twentieth in a quick one. */
export function times(target: Target, full: number): number {
  return target.quick ? Math.ceil(full / 20) : full;
}

/** A seed for the part of an attack with this name; every round has its own. */
export function seedFor({ seed, round }: Target, name: string): number {
  return Number.parseInt(hash('md5', `${seed} ${round} ${name}`).slice(0, 7), 16);
}

/** Runs `task` for 0 … count - 1, at most `concurrency` at a time. */
export async function inParallel(
  count: number,
  concurrency: number,
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker));
}
