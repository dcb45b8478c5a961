import { isIPv4 } from 'node:net';
import { expect, it } from 'vitest';
import type { MachineLimits } from '../../../bench/machine-limits.ts';
import { findShortage, loopbackAddress, planScale } from '../../../bench/scale-plan.ts';

const LIMITS: MachineLimits = {
  openFiles: 20_000,
  systemFiles: 2_000_000,
  availableBytes: 20e9,
  localPorts: 28_232,
};
const COUNT = 100_000;

it.each([1_024, 20_000, 1_048_576, Number.POSITIVE_INFINITY])(
  'with %d open files each process stays below half of them, also when shares are uneven',
  (openFiles) => {
    const { processes } = planScale(COUNT, { ...LIMITS, openFiles });
    expect(processes).toBeGreaterThanOrEqual(2);
    expect((COUNT / processes) * 1.25).toBeLessThan(openFiles / 2);
  },
);

it('spreads clients over so many addresses that ports are left on each', () => {
  expect(planScale(COUNT, LIMITS).addresses).toBe(8);
  expect(planScale(COUNT, { ...LIMITS, localPorts: 1_000 }).addresses).toBe(200);
  const addresses = Array.from({ length: 70_000 }, (_, index) => loopbackAddress(index));
  expect(new Set(addresses).size).toBe(70_000);
  expect(addresses[0]).toBe('127.1.0.1');
  expect(addresses.filter((address) => !isIPv4(address))).toEqual([]);
});

it.each([
  ['enough of everything', {}, undefined],
  ['few files a process', { openFiles: 256 }, /^400 open files for each process; raise ulimit -Hn/],
  ['few files in all', { systemFiles: 150_000 }, /^20\d+ more open files; raise fs.file-max/],
  ['little memory', { availableBytes: 4e9 }, /GB of memory, of which 4.0 are available$/],
])('a machine with %s', (_, limits, shortage) => {
  const found = findShortage(COUNT, { ...LIMITS, ...limits });
  if (shortage === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(shortage);
});
