import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { isObject, type Parsed, type SignedClaims } from './protocol.ts';

const OPTIONS: jwt.VerifyOptions = {
  // Pinned: the header of a token must never choose the algorithm (RFC 8725 §3.1).
  algorithms: ['HS512'],
  // In whole seconds, so exactly this: a token is still good in the second that its `exp` names.
  clockTolerance: 1,
};

/** Verifies HS512 JSON web tokens (RFC 7519) signed with the shared secret. */
export class TokenVerifier {
  // A prepared key: given a string, jsonwebtoken would first try to read it as a public key, every time.
  readonly #key: KeyObject;

  /** `secret` is taken as its UTF-8 bytes, never decoded. It must not be empty. */
  constructor(secret: string) {
    this.#key = createSecretKey(secret, 'utf8');
  }

  /** The claims of a genuine token that is valid now. Every fault has the same answer; never throws. */
  verify(token: string): Parsed<SignedClaims> {
    try {
      const claims: unknown = jwt.verify(token, this.#key, OPTIONS);
      // jsonwebtoken lets any signed payload through; RFC 7519 §7.2 asks for a JSON object.
      if (!isObject(claims)) return REFUSED;
      const payload = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'));
      return { ok: true, value: { claims, json: Buffer.from(payload, 'base64url').toString() } };
    } catch {
      return REFUSED;
    }
  }
}

const REFUSED: Parsed<never> = { ok: false, reason: 'Bad signature' };
