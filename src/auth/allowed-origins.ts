/** Which web pages may open a websocket here: the origins that browsers name (RFC 6454 §7). */
export class AllowedOrigins {
  /** As browsers write them, for people to read. */
  readonly origins: readonly string[];
  readonly #exact = new Set<string>();
  /** What stands before and behind the subdomains. */
  readonly #wildcards: { readonly scheme: string; readonly domain: string }[] = [];

  /**
   * `origins` are `https://example.com`, `https://*.example.com` for any depth of subdomain, or `null`.
   * Throws a `TypeError` that names the first that is none of these.
   */
  constructor(origins: readonly string[]) {
    this.origins = origins.map(normalize);
    for (const origin of this.origins) {
      const star = origin.indexOf('*.');
      if (star === -1) this.#exact.add(origin);
      else this.#wildcards.push({ scheme: origin.slice(0, star), domain: origin.slice(star + 1) });
    }
  }

  has(origin: string): boolean {
    const text = origin.toLowerCase();
    return (
      this.#exact.has(text) ||
      this.#wildcards.some(
        ({ scheme, domain }) =>
          text.startsWith(scheme) &&
          text.endsWith(domain) &&
          SUBDOMAINS.test(text.slice(scheme.length, -domain.length)),
      )
    );
  }
}

const SUBDOMAINS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const WILDCARD_ONLY_IN_FRONT = /^[a-z+.-]+:\/\/(\*\.)?[^*]+$/;

/** As browsers write it: lower case, without the scheme's own port and without a path. */
function normalize(text: string): string {
  if (text === 'null') return text;
  if (!URL.canParse(text)) throw new TypeError(text);
  const { protocol, host, pathname, search, hash, username } = new URL(text);
  const origin = `${protocol}//${host}`;
  const extra = [pathname === '/' ? '' : pathname, search, hash, username].join('');
  if (host === '' || extra !== '' || !WILDCARD_ONLY_IN_FRONT.test(origin))
    throw new TypeError(text);
  return origin;
}
