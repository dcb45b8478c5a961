// Whether there is one order of all broadcasts, from which of them came right after which.

/** Above every sequence. */
const FACTOR = 2 ** 24;

/** That one sequence came right after another, as a number: millions of them are compared and sent. */
export function succession(before: number, after: number): number {
  return before * FACTOR + after;
}

/** Whether one order of all broadcasts contains the order of every websocket. */
export function haveOneOrder(successions: Iterable<number>): boolean {
  const successors = new Map<number, number[]>();
  const predecessorCounts = new Map<number, number>();
  for (const pair of new Set(successions)) {
    const first = Math.floor(pair / FACTOR);
    const second = pair % FACTOR;
    const known = successors.get(first);
    if (known === undefined) successors.set(first, [second]);
    else known.push(second);
    predecessorCounts.set(second, (predecessorCounts.get(second) ?? 0) + 1);
    if (!predecessorCounts.has(first)) predecessorCounts.set(first, 0);
  }
  // Kahn's topological sort: what is left over in the end is part of a cycle.
  const free = [...predecessorCounts]
    .filter(([, count]) => count === 0)
    .map(([sequence]) => sequence);
  let sorted = 0;
  for (let sequence = free.pop(); sequence !== undefined; sequence = free.pop()) {
    sorted += 1;
    for (const next of successors.get(sequence) ?? []) {
      const count = (predecessorCounts.get(next) ?? 0) - 1;
      predecessorCounts.set(next, count);
      if (count === 0) free.push(next);
    }
  }
  return sorted === predecessorCounts.size;
}
