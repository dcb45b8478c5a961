import { describe, expect, it } from 'vitest';
import { isFinal, reconnectDelay } from '../../src/client/reconnect.ts';
import { disconnects, protocolErrors } from '../../src/protocol/close-codes.ts';

const JUST_BELOW_ONE = 1 - 2 ** -53;
/** The shortest and the longest delay, in milliseconds. */
const range = (code: number, failures: number) =>
  [0, JUST_BELOW_ONE].map((random) => Math.round(reconnectDelay(code, failures, random)));

describe('reconnecting', () => {
  const reasons = Object.values({ ...disconnects, ...protocolErrors });

  it.each(reasons)('follows the table of close codes: $code $reason', ({ code, retry }) => {
    expect(isFinal(code)).toBe(retry === 'never');
    if (retry === 'soon') expect(range(code, 9)).toEqual([0, 5_000]);
    if (retry === 'backoff') expect(range(code, 9)[0]).toBeGreaterThanOrEqual(15_000);
  });

  it('comes back after every other code', () => {
    const final = Array.from({ length: 5_000 }, (_, code) => code).filter(isFinal);
    // 1003 and 1010 are a proxy's: it does not speak our language either.
    expect(final).toEqual([1002, 1003, 1007, 1008, 1009, 1010, 4400, 4413]);
  });

  it('waits longer with every failure, up to half a minute', () => {
    const ranges = [0, 1, 2, 3, 4, 5, 50, 5_000].map((failures) => range(1006, failures));
    expect(ranges).toEqual([
      [0, 2_000],
      [1_000, 2_000],
      [2_000, 4_000],
      [4_000, 8_000],
      [8_000, 16_000],
      [15_000, 30_000],
      [15_000, 30_000],
      [15_000, 30_000],
    ]);
    expect(range(4429, 0)).toEqual([1_000, 3_000]);
  });
});
