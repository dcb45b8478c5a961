import { setTimeout as delay } from 'node:timers/promises';

/** How often the next items are handled: short enough for an even load, long enough to cost nothing. */
const STEP_MS = 50;

/**
 * Calls `handle` for every item in random order, spread evenly over `durationMs`, for the first one at once. Items that
 * have left the set by their turn are skipped. Resolves after the last item, or as soon as the set is empty. What is
 * added to the set meanwhile is not handled.
 */
export async function spreadOver<T>(
  items: ReadonlySet<T>,
  durationMs: number,
  handle: (item: T) => void,
): Promise<void> {
  const order = shuffle([...items]);
  const start = performance.now();
  let next = 0;

  while (next < order.length && items.size > 0) {
    const elapsed = performance.now() - start;
    const due =
      durationMs > 0 ? Math.floor((elapsed / durationMs) * order.length) + 1 : order.length;
    for (const item of order.slice(next, due)) {
      if (items.has(item)) handle(item);
    }
    next = due;
    if (next < order.length) await delay(STEP_MS);
  }
}

/** Fisher–Yates, in place. */
function shuffle<T>(items: T[]): T[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [items[last], items[other]] = [items[other] as T, items[last] as T];
  }
  return items;
}
