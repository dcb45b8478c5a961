import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { variableNames } from '../../src/config/settings.ts';
import { startCommand, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost } from './bifrost.ts';

/** The lines on standard output, with one space between their columns. */
function linesOf(stdout: string): string[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '));
}

describe('bifrost check', () => {
  it('prints every variable, where its value comes from and the value, without secrets', async () => {
    const folder = await temporaryFolder();
    const password = 'redis://someone:the-password@redis.example.com:6380/1';
    await writeFile(join(folder, '.env'), `PORT=1\nREDIS_URL=${password}\nHISTORY=off\n`);
    const program = startCommand(['check'], folder, {
      JWT_SECRET: SECRET,
      METRICS: 'true',
      METRICS_TOKEN: 'of-the-metrics',
      PORT: '4000',
    });
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stderr).toBe('');
    const lines = linesOf(program.stdout);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(variableNames);
    expect(lines).toEqual(
      expect.arrayContaining([
        `JWT_SECRET environment hidden, ${Buffer.byteLength(SECRET)} bytes`,
        'PORT environment 4000',
        'HOST default (not set)',
        'DRAIN_SECONDS default 10',
        'METRICS_TOKEN environment hidden',
        'REDIS_URL .env redis://…@redis.example.com:6380/1',
        'BROKER_PREFIX default bifrost:1:',
        'HISTORY .env off',
      ]),
    );
    for (const secret of [SECRET, 'of-the-metrics', 'the-password', 'someone']) {
      expect(program.stdout).not.toContain(secret);
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

  it('ends with 1 for a warning when it is strict, after all of its lines', async () => {
    const env = { JWT_SECRET: 'short', MAX_CONECTIONS: '1' };
    const [lenient, strict, clean] = await Promise.all([
      bifrost(['check'], env),
      bifrost(['check', '--strict'], env),
      bifrost(['check', '--strict']),
    ]);
    expect(lenient.code).toBe(0);
    expect(strict).toEqual({
      code: 1,
      stdout: lenient.stdout,
      stderr: `${lenient.stderr}bifrost check: 2 warnings, and --strict\n`,
    });
    expect(clean).toMatchObject({ code: 0, stderr: '' });
  });

  it('warns that clients cannot recover when Redis is set and HISTORY is not', async () => {
    const env = { JWT_SECRET: SECRET, REDIS_URL: 'redis://redis.example.com' };
    const { code, stdout, stderr } = await bifrost(['check'], env);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Warning: REDIS_URL without HISTORY: .*\n$/);
    expect(linesOf(stdout)).toContain('HISTORY default off');
  });

  it('says that a secret will be made outside production, and makes none itself', async () => {
    const folder = await temporaryFolder();
    const program = startCommand(['check'], folder, {});
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.stderr).toMatch(/^JWT_SECRET is not set: the server makes one.*\n$/);
    expect(await readdir(folder)).toEqual([]);
  });
});
