import { now, sign } from '../../test/support/tokens.ts';

/** Longer than any run. */
const LIFETIME_SECONDS = 3_600;

/** A token that expires, as those of real apps do, so that servers do the work of checking it. */
export function signExpiring(claims: Readonly<Record<string, unknown>>): string {
  return sign({ ...claims, exp: now() + LIFETIME_SECONDS });
}
