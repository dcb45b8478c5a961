import { expect, it } from 'vitest';
import { BifrostClient } from '../../src/client/index.ts';
import { Random } from '../support/random.ts';
import { createNetwork } from './network.ts';
import { SimulatedClock } from './simulated-clock.ts';

const CLIENTS = 5_000;
const SLOT_MS = 100;

/** A line for each half second, a character for each hundred clients. */
function histogram(arrivals: readonly number[]): string {
  const perLine = 500 / SLOT_MS;
  const lines: string[] = [];
  for (let slot = 0; slot < arrivals.length; slot += perLine) {
    const count = arrivals.slice(slot, slot + perLine).reduce((sum, n) => sum + n, 0);
    const seconds = ((slot * SLOT_MS) / 1_000).toFixed(1);
    lines.push(`${seconds.padStart(5)} s ${String(count).padStart(5)} ${'#'.repeat(count / 25)}`);
  }
  return lines.join('\n');
}

it.each([
  [1001, 0.03],
  [1006, 0.07],
])('after %i, 5,000 clients come back spread out', async (code, share) => {
  const clock = new SimulatedClock(new Random(code));
  const arrivals: number[] = [];
  let lostAt = Number.POSITIVE_INFINITY;
  const network = createNetwork((socket) => {
    const slot = Math.floor((Date.now() - lostAt) / SLOT_MS);
    if (slot >= 0) arrivals[slot] = (arrivals[slot] ?? 0) + 1;
    socket.onsend = () => socket.confirm(['news'], { position: 'q7Kf2wX9.1' });
    queueMicrotask(() => socket.open());
  });
  const { WebSocket } = network;
  const clients = Array.from(
    { length: CLIENTS },
    () => new BifrostClient('ws://bifrost', { WebSocket, token: () => 'token' }),
  );
  for (const client of clients) client.connect();
  await clock.pass(10);
  lostAt = Date.now();
  for (const socket of network.sockets.slice()) socket.end(code);
  await clock.pass(10_000);

  const perSlot = Array.from(arrivals, (count = 0) => count);
  console.log(`arrivals after ${code}, per half second:\n${histogram(perSlot)}`);
  expect(clients.filter(({ state }) => state !== 'connected')).toEqual([]);
  expect(perSlot.reduce((sum, count) => sum + count, 0)).toBe(CLIENTS);
  expect(Math.max(...perSlot)).toBeLessThan(share * CLIENTS);
  for (const client of clients) client.close();
  expect(clock.timers).toBe(0);
});
