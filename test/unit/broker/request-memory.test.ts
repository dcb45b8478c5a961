import { afterEach, expect, it, vi } from 'vitest';
import { RequestMemory } from '../../../src/broker/request-memory.ts';

const first = '1 0 12';

afterEach(() => {
  vi.useRealTimers();
});

function remember(memory: RequestMemory, jti: string, answer = first): void {
  memory.begin(jti);
  memory.finish(jti, answer);
}

it('has the first answer, and whether there was a request', () => {
  const memory = new RequestMemory();
  expect(memory.has('a')).toBe(false);
  memory.begin('a');
  expect(memory.has('a')).toBe(true);
  memory.finish('a', first);
  memory.finish('a', 'another');
  memory.finish('b', 'never begun');
  expect(memory.find('a')).toBe(first);
  expect(memory.find('b')).toBeUndefined();
});

it('forgets after 120 s, counted from the first sight', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const memory = new RequestMemory();
  memory.begin('a');
  vi.advanceTimersByTime(119_000);
  memory.finish('a', first);
  expect(memory.has('a')).toBe(true);
  vi.advanceTimersByTime(1_000);
  expect(memory.has('a')).toBe(false);
  expect(memory.size).toBe(0);
});

it('keeps the newest 100,000', () => {
  const memory = new RequestMemory();
  for (let n = 0; n < 100_010; n += 1) remember(memory, `${n}`);
  expect(memory.size).toBe(100_000);
  expect(memory.has('9')).toBe(false);
  expect(memory.has('10')).toBe(true);
});

it('keeps 16 MiB of answers, the newest', () => {
  const memory = new RequestMemory();
  const answer = Array.from({ length: 1_000 }, () => 1).join(' ');
  for (let n = 0; n < 10_000; n += 1) remember(memory, `${n}`, answer);
  expect(memory.size).toBe(Math.floor((16 * 1_024 * 1_024) / 1_999));
  expect(memory.has('9999')).toBe(true);
});

it('has duplicates wait for an answer that is under way, for two seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const memory = new RequestMemory();
  memory.begin('a');
  const patient = memory.find('a');
  vi.advanceTimersByTime(1_000);
  const other = memory.find('a');
  vi.advanceTimersByTime(1_000);
  expect(await patient).toBeUndefined();
  memory.finish('a', first);
  expect(await other).toBe(first);
  expect(vi.getTimerCount()).toBe(0);
});
