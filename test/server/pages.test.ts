import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { escapeHtml } from '../../src/pages/page.ts';
import { disconnects, protocolErrors } from '../../src/protocol/close-codes.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { now, SECRET } from '../support/tokens.ts';

const DEVELOPMENT = { NODE_ENV: 'development' };
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

/** The directives of a page's Content-Security-Policy: name → sources. */
function policyOf(response: Response): Map<string, string[]> {
  const policy = response.headers.get('content-security-policy') ?? '';
  return new Map(
    policy.split('; ').map((directive) => {
      const [name = '', ...sources] = directive.split(' ');
      return [name, sources];
    }),
  );
}

/** The hashes of all elements of a kind, as a policy names them. */
function hashesOf(html: string, tag: string): string[] {
  return [...html.matchAll(new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, 'gs'))].map(
    ([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
  );
}

describe.each(['/', '/test', '/test/'])('the page %s', (path) => {
  it('is HTML that a browser does not sniff as another type', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const response = await fetch(url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('lets in only its own style and script, by hash', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const response = await fetch(url + path);
    const policy = policyOf(response);
    const html = await response.text();

    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('style-src')).toEqual(hashesOf(html, 'style'));
    expect(policy.get('script-src') ?? []).toEqual(hashesOf(html, 'script'));
    for (const name of ['base-uri', 'form-action', 'frame-ancestors']) {
      expect.soft(policy.get(name), name).toEqual(["'none'"]);
    }
    expect([...policy.values()].flat().join(' ')).not.toMatch(/unsafe|\*|https?:/);
  });

  it('has no inline style or handler, which the policy would stop, and no asset of another host', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const html = await (await fetch(url + path)).text();
    const markup = html.replaceAll(/<(style|script)[^>]*>.*?<\/\1>/gs, '');
    expect(markup).not.toMatch(/ (style|on\w+|src|srcset)=/);
    expect(markup.match(/<link[^>]*>/g)?.filter((link) => !link.includes('"data:'))).toEqual([]);
    expect(html).not.toMatch(/url\(|@import/);
  });

  it('is the same in the program that the build delivers', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const program = startProgram(await temporaryFolder(), { ...DEVELOPMENT, JWT_SECRET: SECRET });
    const delivered = await fetch(`http://127.0.0.1:${await program.listening()}${path}`);
    expect(await delivered.text()).toBe(await (await fetch(url + path)).text());
  });

  it('answers HEAD with the same headers', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const get = await fetch(url + path);
    const head = await fetch(url + path, { method: 'HEAD' });
    expect(await head.text()).toBe('');
    for (const name of ['content-length', 'content-security-policy']) {
      expect(head.headers.get(name)).toBe(get.headers.get(name));
    }
  });
});

describe('the landing page', () => {
  it('says what is running, in which version, and where to read on', async () => {
    const { url } = await startServer();
    const html = await (await fetch(url)).text();
    expect(html).toContain('Bifröst is an open source websocket server');
    expect(html).toContain(`Version ${version}<`);
    const links = [...html.matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href);
    expect(links).toEqual([
      'https://github.com/bifrost-node/bifrost-node#readme',
      'https://github.com/bifrost-node/bifrost-node',
      '/info.json',
      '/healthz',
    ]);
  });

  it('leads to the playground in development, and there only', async () => {
    const developer = await startServer(DEVELOPMENT);
    const operator = await startServer({ NODE_ENV: 'production' });
    const link = '<a href="/test">';
    expect(await (await fetch(developer.url)).text()).toContain(link);
    expect(await (await fetch(operator.url)).text()).not.toContain(link);
  });
});

describe('the playground', () => {
  it.each([{ NODE_ENV: 'production' }, { NODE_ENV: 'staging' }, { NODE_ENV: '' }, {}])(
    'does not exist with %o',
    async (env) => {
      const { url } = await startServer(env);
      const claims = { channels: ['user:1'] };
      for (const response of [
        await fetch(`${url}/test`),
        await fetch(`${url}/test/token`),
        await fetch(`${url}/test/token`, { method: 'POST', body: JSON.stringify({ claims }) }),
      ]) {
        expect(response.status).toBe(404);
        expect(await response.text()).toBe('{"error":"Not found"}');
      }
    },
  );

  it('has a meaning and an advice for every close code of the server, of ws and of browsers', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const html = await (await fetch(`${url}/test`)).text();
    const rows = new Map(
      [...html.matchAll(/<tr data-code="(\d+)" data-reason="([^"]*)">(.*?)<\/tr>/g)].map(
        ([, code, reason, cells = '']) => [`${code} ${reason}`, cells],
      ),
    );

    const ours = Object.values({ ...disconnects, ...protocolErrors }).map(
      ({ code, reason }) => `${code} ${reason}`,
    );
    const standard = [1000, 1001, 1005, 1006].map((code) => `${code} `);
    expect([...rows.keys()].toSorted()).toEqual([...ours.map(escapeHtml), ...standard].toSorted());
    for (const [reason, cells] of rows) {
      expect.soft(cells, reason).toMatch(/<td>[A-Z][^<]+\.<\/td><td>[A-Z][^<]+\.<\/td>$/);
    }
  });
});

describe('POST /test/token', () => {
  async function startMint() {
    const server = await startServer(DEVELOPMENT);
    const ask = (body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${server.url}/test/token`, {
        method: 'POST',
        headers,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
    const mint = async (claims: unknown) => {
      const response = await ask({ claims });
      expect(response.status).toBe(200);
      return ((await response.json()) as { token: string }).token;
    };
    return { ...server, ask, mint };
  }

  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

  it('mints tokens that subscribe and broadcast', async () => {
    const { connect, mint, post } = await startMint();
    const alice = (await connect()).authenticate(await mint({ channels: ['user:1'] }));
    expect(await alice.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"user:1\\"}"}',
    );

    const token = await mint({ channel: 'user:1', message: '{"n": 1.0}' });
    const answer = await post(JSON.stringify({ token }));
    expect(await answer.text()).toBe('{"message":"Success","deliveries":1}');
    expect(await alice.nextText()).toBe('{"n": 1.0}');
  });

  it('lets them live for a minute', async () => {
    const { mint } = await startMint();
    const earliest = now() + 60;
    const { exp, ...claims } = claimsOf(await mint({ channels: [] }));
    expect(claims).toEqual({ channels: [] });
    expect(exp).toBeGreaterThanOrEqual(earliest);
    expect(exp).toBeLessThanOrEqual(now() + 60);
  });

  it('leaves an exp that is asked for', async () => {
    const { connect, mint } = await startMint();
    const expired = await mint({ channels: ['user:1'], exp: 1_000_000_000 });
    expect(claimsOf(expired).exp).toBe(1_000_000_000);
    const alice = (await connect()).authenticate(expired);
    expect(await alice.closed).toEqual({ code: 4401, reason: 'Not Authorized!' });
  });

  it('answers JSON that is not cached', async () => {
    const { ask } = await startMint();
    const { headers } = await ask({ claims: {} });
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('mints for its own page, behind a proxy with TLS too', async () => {
    const { ask, port } = await startMint();
    for (const scheme of ['http', 'https']) {
      const response = await ask({ claims: {} }, { Origin: `${scheme}://127.0.0.1:${port}` });
      expect(response.status).toBe(200);
    }
  });

  it.each(['https://evil.example', 'http://127.0.0.1', 'http://127.0.0.1:1', 'null', ''])(
    'answers 403 to a page of the origin "%s"',
    async (origin) => {
      const { ask } = await startMint();
      const response = await ask({ claims: { channels: ['user:1'] } }, { Origin: origin });
      expect(response.status).toBe(403);
      expect(await response.text()).toBe('{"error":"Only the playground itself may ask"}');
    },
  );

  it.each<[number, string, Record<string, string>?]>([
    [200, 'localhost:3000'],
    [200, 'bifrost.localhost'],
    [200, '192.168.1.7:3000'],
    [200, '[::1]:3000'],
    [403, 'evil.example:3000'],
    [403, '127.0.0.1.evil.example'],
    [403, 'dev.example'],
    [200, 'dev.example', { ALLOWED_ORIGINS: 'https://dev.example' }],
    [403, 'evil.example', { ALLOWED_ORIGINS: 'https://dev.example' }],
  ])('answers %i to its own page under the name %s', async (status, host, env = {}) => {
    const { raw } = await startServer({ ...DEVELOPMENT, ...env });
    const body = '{"claims":{}}';
    const connection = (await raw()).write(
      `POST /test/token HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect((await connection.reply()).status).toBe(status);
  });

  it('answers 403 to an origin that only begins with its own', async () => {
    const { ask, port } = await startMint();
    const response = await ask({ claims: {} }, { Origin: `http://127.0.0.1:${port}.evil.example` });
    expect(response.status).toBe(403);
  });

  it.each([
    ['', 'Body must be a JSON object'],
    ['{', 'Body must be a JSON object'],
    ['null', 'Body must be a JSON object'],
    ['[]', 'Body must be a JSON object'],
    ['{}', 'claims must be a JSON object'],
    ['{"claims":null}', 'claims must be a JSON object'],
    ['{"claims":[]}', 'claims must be a JSON object'],
    ['{"claims":"channels"}', 'claims must be a JSON object'],
    ['{"claims":{"exp":"soon"}}', 'exp, nbf and iat must be numbers'],
    ['{"claims":{"exp":null}}', 'exp, nbf and iat must be numbers'],
  ])('answers the body %j with 400 %s', async (body, error) => {
    const { ask } = await startMint();
    const response = await ask(body);
    expect(response.status).toBe(400);
    expect(await response.text()).toBe(JSON.stringify({ error }));
  });

  it('answers 413 when the body is longer than allowed', async () => {
    const { url } = await startServer({ ...DEVELOPMENT, MAX_BODY_BYTES: '128' });
    const response = await fetch(`${url}/test/token`, { method: 'POST', body: 'x'.repeat(129) });
    expect(response.status).toBe(413);
  });

  it('answers 405 to GET', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const response = await fetch(`${url}/test/token`);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });
});
