import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import type { Reply } from '../../src/http/reply.ts';
import { landingPage } from '../../src/pages/landing.ts';
import { escapeHtml } from '../../src/pages/page.ts';
import { disconnects, protocolErrors } from '../../src/protocol/close-codes.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

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

  it('lets in only its own style and script, by hash, and the client', async () => {
    const { url } = await startServer(DEVELOPMENT);
    const response = await fetch(url + path);
    const policy = policyOf(response);
    const html = await response.text();

    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('style-src')).toEqual(hashesOf(html, 'style'));
    // The playground also imports /client.js.
    const imported = path === '/' ? [] : ["'self'"];
    expect(policy.get('script-src') ?? []).toEqual([...imported, ...hashesOf(html, 'script')]);
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
    expect(links).toEqual(['/info.json', '/healthz']);
  });

  it('leads to the sources when package.json says where they are', () => {
    const respond = vi.fn();
    landingPage({ repository: 'https://example.com/bifrost' })({} as IncomingMessage, respond);
    const [reply] = respond.mock.lastCall ?? [];
    const { body } = reply as Reply;
    const links = [...body.matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href);
    expect(links).toEqual([
      'https://example.com/bifrost#readme',
      'https://example.com/bifrost',
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
