import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Reply } from './reply.ts';
import type { Handler } from './router.ts';

/**
 * `GET /client.js`: the browser client as one module, for pages of any origin. It changes with an upgrade of the server,
 * so browsers ask each time whether theirs is still the newest.
 */
export function clientModuleHandler(): Handler {
  // The build makes it; it is two folders up from both src/http/ and dist/http/.
  const body = readFileSync(new URL('../../dist/client.js', import.meta.url), 'utf8');
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const reply: Reply = {
    status: 200,
    contentType: 'text/javascript; charset=utf-8',
    body,
    headers: {
      'Access-Control-Allow-Origin': '*',
      'Cache-Control': 'no-cache',
      'Cross-Origin-Resource-Policy': 'cross-origin',
      ETag: etag,
      'X-Content-Type-Options': 'nosniff',
    },
  };
  // Node sends no body with it, but the header fields of the 200 (RFC 9110 §15.4.5).
  const notModified: Reply = { ...reply, status: 304 };
  return (request, respond) => {
    respond(matches(request.headers['if-none-match'], etag) ? notModified : reply);
  };
}

/** RFC 9110 §13.1.2. Proxies that compress make an ETag weak, which does not count here. */
function matches(condition: string | undefined, etag: string): boolean {
  const tags = condition?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  return tags.includes(etag) || tags[0] === '*';
}
