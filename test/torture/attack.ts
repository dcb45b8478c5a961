import { hash } from 'node:crypto';
import type { Outcome } from './tally.ts';

/** Where, how often and with which random numbers an attack runs. */
export interface Target {
  readonly port: number;
  readonly quick: boolean;
  readonly seed: number;
  readonly round: number;
}

export type Attack = (target: Target) => Promise<Outcome>;

/** How many times to try: a twentieth of it in a quick run. */
export function times(target: Target, full: number): number {
  return target.quick ? Math.ceil(full / 20) : full;
}

/** A seed for the part of an attack with this name; every round has its own. */
export function seedFor({ seed, round }: Target, name: string): number {
  return Number.parseInt(hash('md5', `${seed} ${round} ${name}`).slice(0, 7), 16);
}

/** Runs `task` for 0 … count - 1, `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
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
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}

/** Numbers that look random and are the same for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** An integer from 0 up to, not including, `limit`: mulberry32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let index = 0; index < length; index += 1) bytes[index] = this.below(256);
    return bytes;
  }

  /** Letters and digits. */
  word(length: number): string {
    return this.bytes(length).toString('base64url').slice(0, length);
  }
}
