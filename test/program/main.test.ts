import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectClient } from '../support/client.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET, sign } from '../support/tokens.ts';

describe('the program', () => {
  it('serves, and ends with 0 on any number of SIGTERMs', async () => {
    const program = startProgram(await temporaryFolder(), { JWT_SECRET: SECRET });
    const port = await program.listening();
    const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
    await client.subscribe('a');

    program.child.kill('SIGTERM');
    program.child.kill('SIGTERM');

    expect(await client.closed).toEqual({ code: 1001, reason: 'Server shutting down' });
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('ends with 0 on SIGINT', async () => {
    const program = startProgram(await temporaryFolder(), { JWT_SECRET: SECRET });
    await program.listening();
    program.child.kill('SIGINT');
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('drains on the first SIGINT and ends at once on the second', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      DRAIN_SECONDS: '25',
    });
    const port = await program.listening();
    const url = `ws://127.0.0.1:${port}/subscribe`;
    const clients = [await connectClient(url), await connectClient(url)];

    program.child.kill('SIGINT');
    expect(await Promise.race(clients.map(({ closed }) => closed))).toMatchObject({ code: 1001 });
    program.child.kill('SIGINT');

    expect(await program.ended).toEqual({ code: null, signal: 'SIGINT' });
  });

  it('warns of a short secret, and that an older one is in use, once', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: 'short',
      JWT_SECRET_PREVIOUS: `unused, ${SECRET}`,
    });
    const port = await program.listening();
    for (let n = 0; n < 3; n += 1) {
      const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
      await client.subscribe('a');
    }
    program.child.kill('SIGTERM');
    await program.ended;
    expect(program.output.match(/JWT_SECRET should be at least 64 bytes long/g)).toHaveLength(1);
    expect(program.output.match(/signed with a secret of JWT_SECRET_PREVIOUS/g)).toHaveLength(1);
    expect(program.output).not.toContain(SECRET);
  });

  it('logs its configuration in one line at the start, without secrets', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      JWT_SECRET_PREVIOUS: 'an-older-one',
      METRICS: 'true',
      METRICS_TOKEN: 'of-the-metrics',
      MAX_CHANNEL_LENGTH: '100',
      ALLOWED_ORIGINS: 'https://example.com',
    });
    const port = await program.listening();
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));

    expect(JSON.parse(program.output)).toMatchObject({
      level: 30,
      version,
      address: '127.0.0.1',
      port,
      secretBytes: Buffer.byteLength(SECRET),
      previousSecrets: 1,
      maxChannelLength: 100,
      maxBodyBytes: 1_048_576,
      pingIntervalMs: 15_000,
      allowedOrigins: ['https://example.com'],
      metricsToken: true,
    });
    for (const secret of [SECRET, 'an-older-one', 'of-the-metrics']) {
      expect(program.output).not.toContain(secret);
    }
  });

  it('warns of each unsafe setting', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      NODE_ENV: 'development',
      AUTH_TIMEOUT_SECONDS: '0',
      METRICS: 'true',
      // These are a choice, not a danger.
      ENFORCE_TOKEN_EXPIRY: 'false',
      ALLOWED_ORIGINS: '',
    });
    await program.listening();
    const warnings = program.output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ level }) => level === 40);
    expect(warnings.map(({ msg }) => msg.split(':')[0])).toEqual([
      'NODE_ENV=development',
      'AUTH_TIMEOUT_SECONDS=0',
      'METRICS=true without METRICS_TOKEN',
    ]);
  });

  it('makes a secret when there is none, adds it to .env and uses it from then on', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, '.env');
    await writeFile(file, '# mine\nPING_INTERVAL_SECONDS=20');

    const first = startProgram(folder, { JWT_SECRET: '' });
    const port = await first.listening();

    const text = await readFile(file, 'utf8');
    const secret = /^# mine\nPING_INTERVAL_SECONDS=20\nJWT_SECRET=([0-9a-f]{128})\n$/.exec(
      text,
    )?.[1];
    expect(secret).toBeDefined();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(first.output).toContain('JWT_SECRET was not set');
    expect(first.output).not.toContain(secret);
    const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
    client.authenticate(sign({ channels: ['a'] }, { secret: secret ?? '' }));
    await client.next();

    const second = startProgram(folder, {});
    await second.listening();
    expect(second.output).not.toContain('JWT_SECRET');
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  it('creates .env for nobody else to read', async () => {
    const folder = await temporaryFolder();
    await startProgram(folder, { NODE_ENV: 'development' }).listening();
    expect((await stat(join(folder, '.env'))).mode & 0o777).toBe(0o600);
  });

  it('lets the real environment win over .env, and dotenv prints nothing', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, '.env'), `JWT_SECRET=${SECRET}\nPORT=not-a-port\n`);
    const program = startProgram(folder, { PORT: '0' });
    await program.listening();
    expect(program.output).toMatch(/^\{.*listens.*\}\n$/);
    expect(program.output).not.toMatch(/dotenv|inject/i);
  });

  it('refuses to start in production without a secret and says what to do', async () => {
    const folder = await temporaryFolder();
    for (const env of [{ NODE_ENV: 'production' }, { NODE_ENV: 'Production', JWT_SECRET: '' }]) {
      const program = startProgram(folder, env);
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(JSON.parse(program.output)).toMatchObject({
        problems: ['JWT_SECRET is required'],
        advice: expect.stringContaining('randomBytes(64)'),
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
