import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { connectClient } from '../support/client.ts';
import { recordingLog } from '../support/log.ts';
import { run, type Tool } from '../support/process.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';
import { readWith, startCaddy } from './proxies.ts';

const CADDY: Tool = { command: 'caddy', needs: 'apt-get install caddy' };
const SYSTEMD: Tool = { command: 'systemd-analyze', needs: 'apt-get install systemd' };
const PROMTOOL: Tool = { command: 'sh', needs: 'apt-get install prometheus' };

describe('deploy/Caddyfile', () => {
  it('is valid and formatted as Caddy does', async () => {
    await run(CADDY, ['validate', '--config', 'deploy/Caddyfile', '--adapter', 'caddyfile']);
    expect(await run(CADDY, ['fmt', 'deploy/Caddyfile'])).toBe(
      await readFile('deploy/Caddyfile', 'utf8'),
    );
  });

  it('passes websockets and the client address on, and hides the metrics', async () => {
    const { logged, log } = recordingLog('info');
    const { port: upstream, broadcast } = await startServer(
      { TRUST_PROXY: '1', METRICS: 'true' },
      log,
    );
    const port = await startCaddy(upstream);
    const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`, {
      localAddress: '127.0.0.2',
      headers: { 'X-Forwarded-For': '203.0.113.7' },
    });
    await client.subscribe('a');
    await broadcast('a', { event: 'hello' });
    expect(await client.next()).toEqual({ event: 'hello' });
    for (const path of ['metrics', 'metrics/', '%6detrics']) {
      expect.soft((await fetch(`http://127.0.0.1:${port}/${path}`)).status, path).toBe(404);
    }
    await client.authenticate('garbage').closed;
    expect(await logged('disconnected')).toMatchObject({ address: '127.0.0.2' });
  });
});

describe('deploy/bifrost.service', () => {
  const NODE: [string, string] = ['/usr/bin/node', process.execPath];

  /** The unit with Node where it is on this machine. */
  async function unitFile(...replacements: [string, string][]): Promise<string> {
    const file = join(await temporaryFolder(), 'bifrost.service');
    await writeFile(file, await readWith('deploy/bifrost.service', [NODE, ...replacements]));
    return file;
  }

  /** What systemd has to say of a unit. */
  async function verify(file: string): Promise<string> {
    const shell: Tool = { ...SYSTEMD, command: 'sh' };
    return run(shell, ['-c', 'exec systemd-analyze verify "$0" 2>&1', file]);
  }

  it('passes systemd-analyze without a warning', async () => {
    expect(await verify(await unitFile())).toBe('');
    // It does say something where there is something.
    const file = await unitFile(['KillMode=', 'KilMode=']);
    expect(await verify(file)).toMatch(/Unknown key .*'KilMode'/);
  });

  it('has a low exposure in systemd-analyze security', async () => {
    const args = ['security', '--offline=yes', '--threshold=20', await unitFile()];
    expect(await run(SYSTEMD, args)).toMatch(
      /Overall exposure level for bifrost.service: 1\.\d OK/,
    );
  });

  it('allows enough time for a drain and enough open files for its websockets', async () => {
    const unit = await readFile('deploy/bifrost.service', 'utf8');
    // DRAIN_SECONDS at most, and what a request may still take.
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(25 + 5);
    expect(unit).toMatch(/^LimitNOFILE=1048576$/m);
    expect(unit).toMatch(/^KillSignal=SIGTERM$/m);
  });

  it('gives the history a folder that outlives the server, and that nobody else can read', async () => {
    const unit = await readFile('deploy/bifrost.service', 'utf8');
    const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
    expect(setting('StateDirectoryMode')).toBe('0700');
    // systemd makes the folder, and gives it to the user whose name and number it makes up.
    const root = await temporaryFolder();
    const folder = join(root, setting('StateDirectory'));
    await mkdir(folder, { mode: 0o700 });
    const isRoot = process.getuid?.() === 0;
    if (isRoot) {
      await chmod(root, 0o755);
      await chown(folder, 65_534, 65_534);
    }
    const file = setting('Environment=HISTORY_FILE').replace('%S', root);
    // It may read this checkout wherever it is, and write only what is its own.
    const capability = '+dac_read_search';
    const launcher = isRoot
      ? [
          'setpriv',
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          `--inh-caps=${capability}`,
          `--ambient-caps=${capability}`,
        ]
      : [];
    const start = () =>
      startProgram(root, { JWT_SECRET: SECRET, HISTORY_FILE: file }, { launcher });

    const server = start();
    await server.listening();
    server.child.kill('SIGTERM');
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect(server.output).not.toMatch(/"level":(40|50)/);
    expect(await readdir(folder)).toEqual(['history']);
    await start().prints(/history restored[\s\S]*listens on/);
  });

  it('lets an operator who has Redis switch the file off', async () => {
    const unit = await readFile('deploy/bifrost.service', 'utf8');
    // What is in the file of settings wins.
    expect(unit.indexOf('EnvironmentFile=')).toBeGreaterThan(unit.indexOf('Environment=HISTORY'));
    const line = /^# {3}(HISTORY_FILE)=$/m.exec(unit)?.[1] ?? '';
    const env = { JWT_SECRET: SECRET, REDIS_URL: 'redis://localhost' };
    expect(() => loadConfig({ ...env, HISTORY_FILE: '/var/lib/bifrost/history' })).toThrow();
    expect(loadConfig({ ...env, [line]: '' }).historyFile).toBe(undefined);
  });

  it('starts what the Procfile starts', async () => {
    const procfile = await readFile('Procfile', 'utf8');
    const command = procfile.replace('web: node', '/usr/bin/node').trim();
    expect(await readFile('deploy/bifrost.service', 'utf8')).toContain(`\nExecStart=${command}\n`);
  });
});

describe('GET /metrics', () => {
  it('is valid for promtool', async () => {
    const { connect, broadcast, url, post } = await startServer({ METRICS: 'true' });
    await (await connect()).subscribe('a');
    await (await connect()).authenticate('garbage').closed;
    await broadcast('a', {});
    await post('garbage');
    const exposition = await (await fetch(`${url}/metrics`)).text();
    expect(exposition).toMatch(/^bifrost_deliveries_total 2$/m);

    const file = join(await temporaryFolder(), 'metrics');
    await writeFile(file, exposition);
    const check = 'exec promtool check metrics < "$0" 2>&1';
    expect(await run(PROMTOOL, ['-c', check, file])).toBe('');
  });
});
