import { now, sign } from '../test/support/tokens.ts';

/** Outlives every run. */
const LIFETIME_SECONDS = 3_600;

/** A token that expires, as those of real apps do, but after every run has ended. */
export function signExpiring(claims: Readonly<Record<string, unknown>>): string {
  return sign({ ...claims, exp: now() + LIFETIME_SECONDS });
}
