const SUBDOMAINS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const WILDCARD_ONLY_IN_FRONT = /^[a-z+.-]+:\/\/(\*\.)?[^*]+$/;

/** The web pages that may open a websocket here, by the `Origin` that browsers send (RFC 6454 §7). */
export class AllowedOrigins {
  /** The origins as browsers write them, for the log. */
  readonly origins: readonly string[];
  readonly #exact = new Set<string>();
  /** `https://*.example.com` is the scheme `https://` and the domain `.example.com`. */
  readonly #wildcards: { readonly scheme: string; readonly domain: string }[] = [];

  /**
   * `origins` are `https://example.com`, `https://*.example.com` for any depth of subdomain, or `null`.
   * Throws a `TypeError` whose message is the first origin that is none of these.
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

/** The origin as browsers write it: lower case, without the scheme's default port and without a path. */
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
