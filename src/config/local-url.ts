/** The URL at which this machine reaches a server that is bound to `host`; undefined is every interface. */
export function localUrl(
  scheme: 'http' | 'https',
  host: string | undefined,
  port: number | string,
): string {
  // A server bound to one address cannot be reached at another.
  const isAny = host === undefined || ['', '0.0.0.0', '::'].includes(host);
  const name = isAny ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${name}:${port}`;
}
