import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenVerifier } from '../../../src/auth/token-verifier.ts';
import { looseMembers } from '../../support/loose-json.ts';
import { SECRET, signText } from '../../support/tokens.ts';

describe('TokenVerifier', () => {
  const tokens = new TokenVerifier(SECRET);

  it('never throws and refuses whatever was not signed', () => {
    const segment = fc.oneof(
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
      fc.constant(Buffer.from('{"alg":"HS512"}').toString('base64url')),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
        expect(tokens.verify(segments.join('.')).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('returns the very text that was signed', () => {
    fc.assert(
      fc.property(looseMembers, (all) => {
        const payload = `{${all.map(([key, value]) => `${key}:${value}`).join(',')}}`;
        const signed = tokens.verify(signText(payload));
        expect(signed).toMatchObject({ ok: true, value: { json: payload } });
      }),
      { numRuns: 500 },
    );
  });

  it('takes the secret as its UTF-8 bytes', () => {
    const secret = 'žluťoučký kůň '.repeat(8);
    expect(new TokenVerifier(secret).verify(signText('{}', { secret })).ok).toBe(true);
  });
});
