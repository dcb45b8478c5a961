import { setTimeout as delay } from 'node:timers/promises';

/** Fine enough to look even, coarse enough to cost nothing. */
const STEP_MS = 50;

/**
 * Takes leave of every item that is in `items` now, in random order and evenly over `durationMs`, the first at once.
 * Resolves after the last, or as soon as `items` is empty. `items` may shrink meanwhile, and nothing may be added.
 */
export async function spreadOver<T>(
  items: ReadonlySet<T>,
  durationMs: number,
  leave: (item: T) => void,
): Promise<void> {
  const order = shuffle([...items]);
  const start = performance.now();
  let next = 0;

  while (next < order.length && items.size > 0) {
    const elapsed = performance.now() - start;
    const due =
      durationMs > 0 ? Math.floor((elapsed / durationMs) * order.length) + 1 : order.length;
    for (const item of order.slice(next, due)) {
      if (items.has(item)) leave(item);
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
