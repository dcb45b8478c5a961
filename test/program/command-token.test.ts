import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { startCommand, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { now } from '../support/tokens.ts';
import { bifrost } from './bifrost.ts';

describe('bifrost token', () => {
  it('prints a token that the server takes, for the channels in their order', async () => {
    const { connect } = await startServer();
    const { code, stdout } = await bifrost(['token', '--channel', 'user:1', '-c', 'global "x"']);
    expect(code).toBe(0);
    const client = (await connect()).authenticate(stdout.trim());
    for (const channel of ['user:1', 'global "x"']) {
      expect(await client.next()).toEqual({
        event: 'subscribed',
        data: JSON.stringify({ channel }),
      });
    }
  });

  it('takes channels as arguments, as options, and as both', async () => {
    const channelsOf = async (...args: string[]) => {
      const { code, stdout, stderr } = await bifrost(['token', ...args]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const claims = Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString();
      return JSON.parse(claims).channels;
    };
    expect(await channelsOf('user:1', 'news')).toEqual(['user:1', 'news']);
    expect(await channelsOf('-c', 'user:1', 'news', '--channel', 'a')).toEqual([
      'news',
      'user:1',
      'a',
    ]);
    // A name may look like a message: then it is no mistake.
    expect(await channelsOf('--channel', '{}')).toEqual(['{}']);
  });

  it.each([
    [[], 60],
    [['--expires', '90s'], 90],
    [['--expires', '2m'], 120],
    [['-e', '1h'], 3_600],
    [['--expires', '3d'], 259_200],
  ])('with %j prints one that lives for %d seconds', async (options, seconds) => {
    const before = now();
    const { stdout } = await bifrost(['token', '-c', 'a', ...options]);
    const { exp } = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString());
    expect(exp).toBeGreaterThanOrEqual(before + seconds);
    expect(exp).toBeLessThanOrEqual(now() + seconds);
  });

  it('prints a token to broadcast with, of the message as it was typed', async () => {
    const { connect, url } = await startServer();
    const client = await (await connect()).subscribe('user:1');
    const message = '{ "2":1.0,"1":9007199254740993 }';
    const before = now();
    const { code, stdout } = await bifrost(['token', '--broadcast', 'user:1', message, '-e', '2m']);
    expect(code).toBe(0);
    const token = stdout.trim();
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(exp).toBeGreaterThanOrEqual(before + 120);
    expect(exp).toBeLessThanOrEqual(now() + 120);

    const answer = await fetch(`${url}/broadcast`, {
      method: 'POST',
      body: JSON.stringify({ token }),
    });
    expect(await answer.json()).toEqual({ message: 'Success', deliveries: 1 });
    expect(await client.nextText()).toBe(message);
  });

  it('says in one line that the secret is missing, and makes none', async () => {
    const folder = await temporaryFolder();
    const program = startCommand(['token', '-c', 'a'], folder, { JWT_SECRET: '' });
    expect(await program.ended).toMatchObject({ code: 1 });
    expect(program.stderr).toMatch(/^bifrost token: JWT_SECRET is not set.*\n$/);
    expect(await readdir(folder)).toEqual([]);
  });
});
