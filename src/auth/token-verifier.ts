import { isUtf8 } from 'node:buffer';
import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { SignedClaims } from '../protocol/claims.ts';
import { isObject, type Parsed } from '../protocol/json.ts';

const OPTIONS = {
  // Pinned: the header of a token must never choose the algorithm (RFC 8725 §3.1).
  algorithms: ['HS512'],
  // jsonwebtoken counts whole seconds and refuses from `exp` on; the contract still accepts the second of `exp`.
  clockTolerance: 1,
  // Returns the header too.
  complete: true,
} as const satisfies jwt.VerifyOptions;

const REFUSED: Parsed<never> = { ok: false, reason: 'Bad signature' };

/** Verifies HS512 JSON web tokens (RFC 7519) signed with the shared secret. */
export class TokenVerifier {
  // KeyObjects: jsonwebtoken would try to parse a string as a public key first, with every token (300 µs against 6).
  readonly #key: KeyObject;
  readonly #previousKeys: readonly KeyObject[];
  readonly #onPreviousKey: () => void;

  /**
   * The key is the UTF-8 bytes of the secret, never decoded; a secret must not be empty. A token signed with one of
   * the `previous` secrets is valid too, and `onPreviousKey` is called for it.
   */
  constructor(secret: string, previous: readonly string[] = [], onPreviousKey = () => {}) {
    this.#key = createSecretKey(secret, 'utf8');
    this.#previousKeys = previous.map((text) => createSecretKey(text, 'utf8'));
    this.#onPreviousKey = onPreviousKey;
  }

  /** The claims of a genuine token that is valid now. Every fault has the same reason. Never throws. */
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

function verifyWith(token: string, key: KeyObject): SignedClaims | undefined {
  try {
    const { header, payload: claims } = jwt.verify(token, key, OPTIONS);
    // `crit` lists extensions that must be understood (RFC 7515 §4.1.11). We know none, and jsonwebtoken ignores it.
    if (Object.hasOwn(header, 'crit')) return undefined;
    // jsonwebtoken lets any signed payload through; RFC 7519 §7.2 asks for a JSON object.
    if (!isObject(claims)) return undefined;
    const payload = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'));
    const bytes = Buffer.from(payload, 'base64url');
    // Bytes that are not UTF-8 would all become U+FFFD, which makes one name of two different channels.
    if (!isUtf8(bytes)) return undefined;
    return { claims, json: bytes.toString() };
  } catch {
    return undefined;
  }
}
