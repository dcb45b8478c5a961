import { isUtf8 } from 'node:buffer';
import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { SignedClaims } from '../protocol/claims.ts';
import { isObject, type Parsed } from '../protocol/json.ts';

const OPTIONS = {
  // Pinned: the header of a token must never choose the algorithm (RFC 8725 §3.1).
  algorithms: ['HS512'],
  // In whole seconds, so exactly this: a token is still good in the second that its `exp` names.
  clockTolerance: 1,
  // The header too.
  complete: true,
} as const satisfies jwt.VerifyOptions;

/** Verifies HS512 JSON web tokens (RFC 7519) signed with the shared secret. */
export class TokenVerifier {
  // Prepared keys: given a string, jsonwebtoken would first try to read it as a public key, every time.
  readonly #key: KeyObject;
  readonly #previousKeys: readonly KeyObject[];
  readonly #onPreviousKey: () => void;

  /**
   * Secrets are taken as their UTF-8 bytes, never decoded, and must not be empty. A token signed with one of the
   * `previous` ones is as good, and `onPreviousKey` is told of it.
   */
  constructor(secret: string, previous: readonly string[] = [], onPreviousKey = () => {}) {
    this.#key = createSecretKey(secret, 'utf8');
    this.#previousKeys = previous.map((text) => createSecretKey(text, 'utf8'));
    this.#onPreviousKey = onPreviousKey;
  }

  /** The claims of a genuine token that is valid now. Every fault has the same answer; never throws. */
  verify(token: string): Parsed<SignedClaims> {
    const signed = verifyWith(token, this.#key);
    if (signed !== undefined) return { ok: true, value: signed };

    for (const key of this.#previousKeys) {
      const older = verifyWith(token, key);
      if (older === undefined) continue;
      this.#onPreviousKey();
      return { ok: true, value: older };
    }
    return REFUSED;
  }
}

const REFUSED: Parsed<never> = { ok: false, reason: 'Bad signature' };

function verifyWith(token: string, key: KeyObject): SignedClaims | undefined {
  try {
    const { header, payload: claims } = jwt.verify(token, key, OPTIONS);
    // RFC 7515 §4.1.11: extensions that must be understood, and jsonwebtoken ignores. We know none.
    if (Object.hasOwn(header, 'crit')) return undefined;
    // jsonwebtoken lets any signed payload through; RFC 7519 §7.2 asks for a JSON object.
    if (!isObject(claims)) return undefined;
    const payload = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'));
    const bytes = Buffer.from(payload, 'base64url');
    // Whatever is not UTF-8 would be decoded to U+FFFD, and so two channel names to one.
    if (!isUtf8(bytes)) return undefined;
    return { claims, json: bytes.toString() };
  } catch {
    return undefined;
  }
}
