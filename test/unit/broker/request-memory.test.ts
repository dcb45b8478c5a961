import { afterEach, expect, it, vi } from 'vitest';
import { RequestMemory } from '../../../src/broker/request-memory.ts';

const first = { results: [1, 0, 12], isPartial: false, isDuplicate: false };

afterEach(() => {
  vi.useRealTimers();
});

function remember(memory: RequestMemory, jti: string, published = first): void {
  memory.begin(jti);
  memory.finish(jti, published);
}

it('answers what was answered first, as a duplicate', async () => {
  const memory = new RequestMemory();
  expect(memory.find('a')).toBeUndefined();
  remember(memory, 'a');
  remember(memory, 'b', { ...first, isPartial: true });
  expect(await memory.find('a')).toEqual({ ...first, isDuplicate: true });
  expect(await memory.find('b')).toEqual({ ...first, isPartial: true, isDuplicate: true });
});

it('forgets after 120 s, counted from the first sight', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const memory = new RequestMemory();
  memory.begin('a');
  vi.advanceTimersByTime(119_000);
  memory.finish('a', first);
  expect(await memory.find('a')).toEqual({ ...first, isDuplicate: true });
  vi.advanceTimersByTime(1_000);
  expect(memory.find('a')).toBeUndefined();
  expect(memory.size).toBe(0);
});

it('keeps the newest 100,000', () => {
  const memory = new RequestMemory();
  for (let n = 0; n < 100_010; n += 1) remember(memory, `${n}`);
  expect(memory.size).toBe(100_000);
  expect(memory.find('9')).toBeUndefined();
  expect(memory.find('10')).toBeDefined();
});

it('keeps 16 MiB of answers, the newest', () => {
  const memory = new RequestMemory();
  // 2,000 bytes of text each.
  const results = Array.from({ length: 1_000 }, () => 1);
  for (let n = 0; n < 10_000; n += 1) remember(memory, `${n}`, { ...first, results });
  expect(memory.size).toBe(Math.floor((16 * 1_024 * 1_024) / 1_999));
  expect(memory.find('9999')).toBeDefined();
});

it('has duplicates wait for an answer that is under way, for two seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const memory = new RequestMemory();
  memory.begin('a');
  const patient = memory.find('a');
  vi.advanceTimersByTime(1_000);
  const other = memory.find('a');
  vi.advanceTimersByTime(1_000);
  expect(await patient).toEqual({ results: [], isPartial: true, isDuplicate: true });
  memory.finish('a', first);
  expect(await other).toEqual({ ...first, isDuplicate: true });
  expect(vi.getTimerCount()).toBe(0);
});
