/**
 * Signs claims as an HS512 JWT (RFC 7519) that lives for so many whole seconds. They are given as the text of a JSON
 * object without its first brace: parsing it would change the messages in it.
 */
export type Sign = (openClaims: string, seconds: number) => Promise<string>;

export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** The key is imported once, since that costs more than a signature, and nobody can read it back. */
export const createSigner = (secret: string): Sign => {
  const key = crypto.subtle.importKey(
    'raw',
    utf8(secret),
    { name: 'HMAC', hash: 'SHA-512' },
    false,
    ['sign'],
  );
  return async (openClaims, seconds) => {
    const claims = `{"exp":${Math.floor((Date.now() + seconds * 1_000) / 1_000)},${openClaims}`;
    const signed = `eyJhbGciOiJIUzUxMiJ9.${base64url(utf8(claims))}`;
    return `${signed}.${base64url(await crypto.subtle.sign('HMAC', await key, utf8(signed)))}`;
  };
};

/** RFC 4648 §5, without padding. */
const base64url = (bytes: ArrayBuffer | Uint8Array): string =>
  btoa(new Uint8Array(bytes).reduce((text, byte) => text + String.fromCharCode(byte), ''))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
