import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

it('delivers the client as one module, to pages of every origin', async () => {
  const { url } = await startServer({ ALLOWED_ORIGINS: 'https://app.example.com' });
  const response = await fetch(`${url}/client.js`, { headers: { Origin: 'https://example.com' } });
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'access-control-allow-origin': '*',
    'cross-origin-resource-policy': 'cross-origin',
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
  });
  const text = await response.text();
  expect(text).not.toMatch(/\bfrom ?["']|\bimport\b|\brequire\(/);

  const file = join(await temporaryFolder(), 'client.mjs');
  await writeFile(file, text);
  const { BifrostClient } = await import(file);
  expect(new BifrostClient('ws://localhost/subscribe', { token: () => null }).state).toBe('idle');
});

it('answers 304 to those who have it', async () => {
  const { url, raw } = await startServer();
  const etag = (await fetch(`${url}/client.js`)).headers.get('etag') ?? '';
  expect(etag).toMatch(/^"[\w-]{22}"$/);

  const connection = await raw();
  const ask = (condition: string) =>
    connection
      .write(`GET /client.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: ${condition}\r\n\r\n`)
      .reply({ head: condition !== '"other"' });
  for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const { status, headers } = await ask(condition);
    expect([condition, status, headers['etag']]).toEqual([condition, 304, etag]);
    expect(headers['access-control-allow-origin']).toBe('*');
  }
  // It comes next on the connection, so none of those before had a body.
  const { status, body } = await ask('"other"');
  expect([status, body]).toEqual([200, await readFile('dist/client.js', 'utf8')]);
});

it('is the same in the program that the build delivers', async () => {
  const program = startProgram(await temporaryFolder(), { JWT_SECRET: SECRET });
  const response = await fetch(`http://127.0.0.1:${await program.listening()}/client.js`);
  expect(await response.text()).toBe(await readFile('dist/client.js', 'utf8'));
});
