import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startCommand, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost } from './bifrost.ts';

describe('bifrost check', () => {
  it('prints the configuration without its secrets', async () => {
    const env = {
      JWT_SECRET: SECRET,
      JWT_SECRET_PREVIOUS: 'an-older-one',
      METRICS: 'true',
      METRICS_TOKEN: 'of-the-metrics',
      REDIS_URL: 'redis://someone:the-password@redis.example.com:6380/1?x=y',
      ALLOWED_ORIGINS: 'https://example.com, https://*.Example.org',
      MAX_BODY_BYTES: '1000',
      HISTORY: 'off',
    };
    const { code, stdout, stderr } = await bifrost(['check'], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      secretBytes: Buffer.byteLength(SECRET),
      previousSecrets: 1,
      port: 3000,
      metrics: true,
      metricsToken: true,
      redis: 'redis.example.com:6380',
      allowedOrigins: ['https://example.com', 'https://*.example.org'],
      maxBodyBytes: 1_000,
      history: 'off',
    });
    for (const secret of [SECRET, 'an-older-one', 'of-the-metrics', 'the-password', 'someone']) {
      expect(stdout).not.toContain(secret);
    }
  });

  it('lists every problem, a line each, and ends with 1', async () => {
    const { code, stdout, stderr } = await bifrost(['check'], {
      NODE_ENV: 'production',
      PORT: '-1',
      DRAIN_SECONDS: 'soon',
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'Invalid configuration:\n' +
        '  - JWT_SECRET is required\n' +
        '  - PORT must be an integer from 0 to 65535, got "-1"\n' +
        '  - DRAIN_SECONDS must be a number of seconds from 0 to 25, got "soon"\n',
    );
  });

  it.each([['start'], ['token', '-c', 'a'], ['broadcast', 'a', '{}'], ['listen', 'a'], ['check']])(
    'lists a .env that cannot be used, whatever else is set: %s',
    async (...args) => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, '.env'), 'not an assignment\n');
      const program = startCommand(args, folder, { JWT_SECRET: SECRET, PORT: '1' });
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(program.output).toMatch(
        /^Invalid configuration:\n {2}- .*\.env has lines that are neither .*: 1\n$/,
      );
    },
  );

  it('warns of what is set but not known, before the problems that may come of it', async () => {
    const env = { NODE_ENV: 'Production', JWT_SECERT: SECRET };
    const { code, stderr } = await bifrost(['check'], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^Warning: NODE_ENV="Production" .*\nWarning: JWT_SECERT is not read: is JWT_SECRET meant\?\nInvalid .*\n {2}- JWT_SECRET is required\n$/,
    );
  });

  it('warns of what is unsafe', async () => {
    const { code, stderr } = await bifrost(['check'], {
      JWT_SECRET: 'short',
      NODE_ENV: 'development',
      AUTH_TIMEOUT_SECONDS: '0',
      METRICS: 'true',
    });
    expect(code).toBe(0);
    expect(stderr.match(/^Warning: \S+/gm)).toEqual([
      'Warning: JWT_SECRET',
      'Warning: NODE_ENV=development:',
      'Warning: AUTH_TIMEOUT_SECONDS=0:',
      'Warning: METRICS=true',
    ]);
  });

  it('warns that clients cannot recover when Redis is set and HISTORY is not', async () => {
    const env = { JWT_SECRET: SECRET, REDIS_URL: 'redis://redis.example.com' };
    const { code, stdout, stderr } = await bifrost(['check'], env);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Warning: REDIS_URL without HISTORY: .*\n$/);
    expect(JSON.parse(stdout)).toMatchObject({ history: 'off' });
  });

  it('says that a secret will be made outside production, and makes none itself', async () => {
    const folder = await temporaryFolder();
    const program = startCommand(['check'], folder, {});
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.stderr).toMatch(/^JWT_SECRET is not set: the server makes one.*\n$/);
    expect(await readdir(folder)).toEqual([]);
  });
});
