import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Program, startCommand, startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

type Env = Readonly<Record<string, string>>;

/** The two ways to start the server. */
const STARTS: readonly [string, (folder: string, env: Env) => Program][] = [
  ['node dist/main.js', startProgram],
  [
    'bifrost start',
    (folder, env) =>
      startCommand(['start'], folder, { HOST: '127.0.0.1', PORT: '0', DRAIN_SECONDS: '0', ...env }),
  ],
];

/** Preloaded: what no start expects. */
const BROKEN = `import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
http.createServer = () => { throw new Error('broken on purpose'); };
syncBuiltinESMExports();`;

/** Why a start fails, what to set for it, and what is said. */
const FAILURES: readonly [string, (folder: string) => Promise<Env>, RegExp][] = [
  [
    'a .env that cannot be read',
    async (folder) => {
      await mkdir(join(folder, '.env'));
      return {};
    },
    /^Invalid configuration$/,
  ],
  [
    'a certificate that is none',
    async (folder) => {
      const file = join(folder, 'cert');
      await writeFile(file, 'nothing');
      return { TLS_CERT_FILE: file, TLS_KEY_FILE: file };
    },
    /^Invalid configuration$/,
  ],
  [
    'a HISTORY_FILE without a history',
    async () => ({ HISTORY: 'off', HISTORY_FILE: 'history' }),
    /^Invalid configuration$/,
  ],
  [
    'a port that is taken',
    async () => ({ PORT: String((await startServer()).port) }),
    /^Cannot listen on port \d+: .*EADDRINUSE.*: set PORT\)$/,
  ],
  [
    'a port that is taken, for each worker',
    async () => ({ PORT: String((await startServer()).port), WEB_CONCURRENCY: '3' }),
    /^Cannot listen on port \d+: .*EADDRINUSE/,
  ],
  [
    'an address that is not of this machine',
    async () => ({ HOST: '192.0.2.1' }),
    /^Cannot listen on port 0: .*EADDRNOTAVAIL/,
  ],
  [
    'an error that nobody expected',
    async () => ({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(BROKEN)}` }),
    /^Bifröst could not start$/,
  ],
];

describe.each(STARTS)('%s in production', (_name, start) => {
  it.each(FAILURES)(
    'says in one line of its log that it fails for %s',
    async (_why, prepare, says) => {
      const folder = await temporaryFolder();
      const program = start(folder, {
        NODE_ENV: 'production',
        JWT_SECRET: SECRET,
        LOG_LEVEL: 'silent',
        ...(await prepare(folder)),
      });
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(program.stderr).toBe('');
      expect(program.stdout).toMatch(/^.*\n$/);
      expect(JSON.parse(program.stdout)).toMatchObject({
        level: 60,
        pid: expect.any(Number),
        msg: expect.stringMatching(says),
      });
    },
  );
});

describe('the program', () => {
  it('refuses to start in production without a secret and says what to do', async () => {
    const folder = await temporaryFolder();
    for (const env of [{ NODE_ENV: 'production' }, { NODE_ENV: 'Production', JWT_SECRET: '' }]) {
      const program = startProgram(folder, env);
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(JSON.parse(program.output)).toMatchObject({
        problems: ['JWT_SECRET is required'],
        advice: expect.stringContaining('npx --no-install bifrost secret'),
      });
    }
    await expect(stat(join(folder, '.env'))).rejects.toThrow('ENOENT');
  });

  it('refuses to start in production with a secret that can be guessed', async () => {
    const folder = await temporaryFolder();
    const tooShort = startProgram(folder, {
      NODE_ENV: 'production',
      JWT_SECRET: 'fifteen bytes: ',
    });
    expect(await tooShort.ended).toEqual({ code: 1, signal: null });
    expect(JSON.parse(tooShort.output).problems).toEqual([
      'JWT_SECRET must be at least 16 bytes long in production',
    ]);

    const warned = startProgram(folder, { NODE_ENV: 'production', JWT_SECRET: 'sixteen bytes: ö' });
    await warned.listening();
    expect(warned.output).toContain('JWT_SECRET should be at least 64 bytes long');
  });

  it('takes an unknown NODE_ENV for production, and says so', async () => {
    const program = startProgram(await temporaryFolder(), {
      NODE_ENV: 'staging',
      JWT_SECRET: SECRET,
    });
    await program.listening();
    expect(program.output).toContain('NODE_ENV=\\"staging\\" is treated like production');
    expect(program.output).toContain('"production":true');
  });

  it('warns of a variable that is nearly one of its own, wherever it is set', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, '.env'), 'MAX_CONECTIONS=5\n');
    const program = startProgram(folder, { JWT_SECRET: SECRET, REDIS_URI: 'redis://the-password' });
    await program.listening();
    expect(program.output).toContain('MAX_CONECTIONS is not read: is MAX_CONNECTIONS meant?');
    expect(program.output).toContain('REDIS_URI is not read: is REDIS_URL meant?');
    expect(program.output).not.toContain('the-password');
  });

  it('refuses to start when the secret cannot be kept', async () => {
    // Where nobody can make a file, not even root.
    const program = startProgram('/proc', {});
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toContain('/proc/.env cannot be written');
    expect(program.output).toContain('  - JWT_SECRET is required\n');
  });

  it('refuses to start with a .env that cannot be used, and leaves it as it is', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, '.env');
    const text = `a secret on a line of its own\nMAX_CONNECTIONS=5\nPORT=x\n`;
    await writeFile(file, text);
    const program = startProgram(folder, { PORT: '' });
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toBe(
      'Invalid configuration:\n' +
        `  - ${file} has lines that are neither NAME=value nor a comment: 1\n` +
        '  - PORT must be an integer from 0 to 65535, got "x"\n',
    );
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it('lists every problem in production in one line of its log, whatever LOG_LEVEL says', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, '.env'));
    const program = startProgram(folder, {
      NODE_ENV: 'production',
      JWT_SECRET: SECRET,
      LOG_LEVEL: 'silent',
      PORT: '-1',
      MAX_CONECTIONS: '5',
    });
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.stderr).toBe('');
    expect(JSON.parse(program.stdout)).toEqual({
      level: 60,
      time: expect.any(Number),
      pid: program.child.pid,
      hostname: expect.any(String),
      problems: [
        expect.stringMatching(/\.env cannot be read: EISDIR/),
        'PORT must be an integer from 0 to 65535, got "-1"',
      ],
      warnings: ['MAX_CONECTIONS is not read: is MAX_CONNECTIONS meant?'],
      msg: 'Invalid configuration',
    });
  });

  it('lists every problem of its configuration, one line each', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      PORT: '-1',
      MAX_BODY_BYTES: 'x',
      MAX_CONECTIONS: '5',
    });
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toBe(
      'Invalid configuration:\n' +
        '  - PORT must be an integer from 0 to 65535, got "-1"\n' +
        '  - MAX_BODY_BYTES must be an integer from 128 to 268435456, got "x"\n' +
        'Warning: MAX_CONECTIONS is not read: is MAX_CONNECTIONS meant?\n',
    );
  });

  it('says in one line that its port is taken', async () => {
    const { port } = await startServer();
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      PORT: String(port),
    });
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toMatch(/^Cannot listen on port \d+: .*EADDRINUSE.*\n$/);
  });
});
