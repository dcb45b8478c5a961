import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import jwt from 'jsonwebtoken';
import { describe, expect, it, vi } from 'vitest';
import { createSigner } from '../../../src/publisher/sign.ts';
import { now, SECRET } from '../../support/tokens.ts';

const verify = (token: string, secret = SECRET) =>
  jwt.verify(token, createSecretKey(secret, 'utf8'), { algorithms: ['HS512'] }) as jwt.JwtPayload;

const payload = (token: string) => Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();

describe('a signed token', () => {
  it('is an HS512 JWT that a library verifies', async () => {
    const token = await createSigner(SECRET)('"channels":["user:1"]}', 60);
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]{86}$/);
    expect(jwt.decode(token, { complete: true })?.header).toEqual({ alg: 'HS512' });
    expect(verify(token)).toMatchObject({ channels: ['user:1'] });
    expect(() => verify(token, 'another secret')).toThrow('invalid signature');
  });

  it('expires after so many seconds', async () => {
    const before = now();
    const { exp = 0 } = verify(await createSigner(SECRET)('"a":1}', 90));
    expect(exp).toBeGreaterThanOrEqual(before + 90);
    expect(exp).toBeLessThanOrEqual(now() + 90);
  });

  it('has the claims as they were given, whatever characters and however long', async () => {
    const sign = createSigner(SECRET);
    const check = async (text: string) => {
      const claims = `"text": ${JSON.stringify(text)}, "id":9007199254740993}`;
      const token = await sign(claims, 60);
      expect(payload(token).replace(/^{"exp":\d+,/, '')).toBe(claims);
      expect(verify(token)['text']).toBe(text);
    };
    await check('🌈 ä'.repeat(50_000));
    await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary' }), check));
  });

  it('takes the UTF-8 of the secret', async () => {
    const secret = 'schlüssel 🌈 '.repeat(8);
    expect(verify(await createSigner(secret)('"a":1}', 60), secret)).toMatchObject({ a: 1 });
  });

  it('is made with a key that is imported once and cannot be read back', async () => {
    const importKey = vi.spyOn(crypto.subtle, 'importKey');
    const sign = createSigner(SECRET);
    await sign('"a":1}', 60);
    await sign('"a":2}', 60);
    expect(importKey).toHaveBeenCalledOnce();
    expect(await importKey.mock.results[0]?.value).toMatchObject({ extractable: false });
  });
});
