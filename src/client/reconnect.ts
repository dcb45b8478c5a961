/** Codes after which another attempt would end in the same way: what was sent, or the token's channels, are at fault. */
const FINAL = /^(100[237-9]|1010|4400|4413)$/;

export const SHUTTING_DOWN = 1001;
/** What browsers report for a connection that was cut or never came about. */
export const CUT = 1006;
export const NOT_AUTHORIZED = 4401;
export const TOO_SLOW = 4429;

/** Whether a client that was closed with this code must stay away. */
export const isFinal = (code: number): boolean => FINAL.test(`${code}`);

/**
 * How long to wait before the next attempt, in milliseconds. `failures` are those before this one; `random` is from 0
 * up to 1. Delays are spread, so that the clients of a server that was lost do not all come back at once.
 */
export const reconnectDelay = (code: number, failures: number, random: number): number => {
  if (code === SHUTTING_DOWN) return random * 5_000;
  const halfMs = Math.min(30_000, 1_000 * 2 ** failures) / 2;
  const delayMs = failures ? halfMs + random * halfMs : random * 2_000;
  return code === TOO_SLOW ? delayMs + 1_000 : delayMs;
};
