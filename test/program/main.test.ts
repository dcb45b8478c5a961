import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectClient } from '../support/client.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
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

  it('takes a SIGINT that comes right after the first for the same Ctrl-C, passed on', async () => {
    const again = "process.once('SIGINT',()=>setImmediate(()=>process.kill(process.pid,'SIGINT')))";
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(again)}`,
    });
    const client = await connectClient(`ws://127.0.0.1:${await program.listening()}/subscribe`);
    program.child.kill('SIGINT');
    expect(await client.closed).toMatchObject({ code: 1001 });
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('drains on the first SIGINT and ends at once on a second Ctrl-C', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      DRAIN_SECONDS: '25',
    });
    const port = await program.listening();
    const url = `ws://127.0.0.1:${port}/subscribe`;
    const clients = [await connectClient(url), await connectClient(url)];

    program.child.kill('SIGINT');
    expect(await Promise.race(clients.map(({ closed }) => closed))).toMatchObject({ code: 1001 });
    // Whoever presses it twice in a moment has to do it once more. Asking paces this.
    while (program.child.signalCode === null) {
      program.child.kill('SIGINT');
      await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => {});
    }

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
});
