import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { CLI_PROGRAM } from '../support/build.ts';
import { connectClient, type TestClient } from '../support/client.ts';
import { freePort } from '../support/free-port.ts';
import { type Program, startCommand, temporaryFolder } from '../support/program.ts';
import { CTRL_C, PLAYGROUND_LINK, press, startOnTerminal } from '../support/terminal.ts';
import { SOON_MS } from './logging-program.ts';

/** What comes after the last line of a greeting. */
const GREETED = /Broadcast .*\r\n(.*\r\n)?\r\n/;

/** Waits for the greeting; resolves to the link to the playground, its key and the address of the server. */
async function greeted(program: Program) {
  const [, link = '', key = ''] = await program.prints(PLAYGROUND_LINK);
  await program.prints(GREETED);
  return { link, key, url: new URL(link).origin };
}

function connectMany(url: string, count: number): Promise<TestClient[]> {
  const address = `${url.replace('http', 'ws')}/subscribe`;
  return Promise.all(Array.from({ length: count }, () => connectClient(address)));
}

/** The processes below this one that have no others below them. */
function youngest(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const children = tasks.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number),
  );
  return children.length === 0 ? [pid] : children.flatMap(youngest);
}

/** Resolves when somebody listens there. */
async function reachable(url: string): Promise<void> {
  while ((await fetch(url).catch(() => undefined)) === undefined) await sleep(20);
}

async function statusOf(url: string): Promise<number> {
  return (await fetch(url, { headers: { Connection: 'close' } })).status;
}

describe('the program on a terminal', () => {
  it('greets with a link that opens the playground, and nothing else does', async () => {
    const program = await startOnTerminal({ LOG_LEVEL: 'trace' });
    const { link, key, url } = await greeted(program);

    expect(await statusOf(link)).toBe(200);
    for (const path of ['/test', `/test?key=${'0'.repeat(key.length)}`]) {
      expect(await statusOf(url + path)).toBe(404);
    }
    press(program, CTRL_C);
    await program.ended;
    // It stands in the greeting, and in no line of the log.
    expect(program.output.split(key)).toHaveLength(2);
  });

  it('makes another key with every start', async () => {
    const keys = await Promise.all(
      [1, 2].map(async () => (await greeted(await startOnTerminal({}))).key),
    );
    expect(new Set(keys).size).toBe(2);
  });

  it('shows commands that work as they stand', async () => {
    const folder = await temporaryFolder();
    const server = await startOnTerminal({ JWT_SECRET: '' }, folder);
    await greeted(server);
    const run = (name: string) => {
      const [, command = ''] =
        new RegExp(`${name} +npx --no-install (.*)\r\n`).exec(server.output) ?? [];
      const line = command.replace('bifrost', `exec "${process.execPath}" "${CLI_PROGRAM}"`);
      return startCommand([], folder, {}, { launcher: ['sh', '-c', line] });
    };
    const listener = run('Listen');
    await listener.prints(/subscribed to user:1\n/);
    const broadcaster = run('Broadcast');
    expect(await broadcaster.ended).toMatchObject({ code: 0 });
    expect(broadcaster.output).toBe('1\n');
    await listener.prints(/\{"event":"new_item","data":"\{\}"\}\n/);
  });

  it('says where the secret is that it has made, and never what it is', async () => {
    const folder = await temporaryFolder();
    const program = await startOnTerminal({ JWT_SECRET: '' }, folder);
    await greeted(program);
    expect(program.output).toContain(`kept as JWT_SECRET in ${folder}/.env`);
    const secret = /^JWT_SECRET=(.+)$/m.exec(readFileSync(`${folder}/.env`, 'utf8'))?.[1] ?? '';
    expect(secret).not.toBe('');
    expect(program.output).not.toContain(secret);

    const second = await startOnTerminal({ JWT_SECRET: '' }, folder);
    await greeted(second);
    expect(second.output).not.toMatch(/secret/i);
  });

  it('shows its settings at debug only', async () => {
    const [quiet, talkative] = await Promise.all(
      ['info', 'debug'].map((level) => startOnTerminal({ LOG_LEVEL: level })),
    );
    for (const program of [quiet, talkative]) await greeted(program as Program);
    expect(quiet?.output).not.toContain('maxChannelLength');
    expect(talkative?.output).toContain('"maxChannelLength":255');
  });

  it('still warns', async () => {
    const program = await startOnTerminal({ JWT_SECRET: 'short', MAX_CONECTIONS: '5' });
    await greeted(program);
    expect(program.output).toContain('JWT_SECRET should be at least 64 bytes long');
    expect(program.output).toContain('MAX_CONECTIONS is not read');
  });

  it('needs no key in development', async () => {
    const program = await startOnTerminal({ NODE_ENV: 'development' });
    const [, link = ''] = await program.prints(/Playground +(http\S+\/test)\r\n/);
    expect(await statusOf(link)).toBe(200);
  });

  it.each(['warn', 'silent'])('says nothing and has no playground at %s', async (level) => {
    const port = await freePort();
    const program = await startOnTerminal({ LOG_LEVEL: level, PORT: String(port) });
    const url = `http://127.0.0.1:${port}`;
    await reachable(url);
    expect(await statusOf(`${url}/test`)).toBe(404);
    press(program, CTRL_C);
    expect((await program.ended).code).toBe(0);
    expect(program.output).toBe('^C');
  });

  it('logs JSON in production, and greets nobody', async () => {
    const program = await startOnTerminal({ NODE_ENV: 'production' });
    const url = `http://127.0.0.1:${await program.listening()}`;
    expect(program.output).toMatch(/^\{.*listens on.*\}\r\n$/);
    expect(await statusOf(`${url}/test`)).toBe(404);
  });
});

describe('the program on a terminal with WEB_CONCURRENCY', () => {
  it('greets once, and the workers say nothing', async () => {
    const program = await startOnTerminal({ WEB_CONCURRENCY: '2' });
    const { url } = await greeted(program);
    // Only a process that listens can drain, and so be done with its start.
    await connectMany(url, 4);
    press(program, CTRL_C);
    expect((await program.ended).code).toBe(0);
    expect(program.output.match(/Bifröst .* listens on/g)).toHaveLength(1);
    expect(program.output).not.toMatch(/INFO|WARN|ERROR/);
  });

  it('has one key for all workers, also for those that replace others', async () => {
    // With PORT=0 those that come later would get another port.
    const env = { PORT: String(await freePort()), WEB_CONCURRENCY: '2' };
    const program = await startOnTerminal(env);
    const { link, url } = await greeted(program);
    const before = youngest(program.child.pid ?? 0);
    expect(before).toHaveLength(2);
    for (const pid of before) process.kill(pid, 'SIGKILL');

    await reachable(url);
    expect(await statusOf(link)).toBe(200);
    expect(await statusOf(`${url}/test`)).toBe(404);
    expect(program.output.match(/Bifröst .* listens on/g)).toHaveLength(1);
    expect(program.output).toContain('worker died, starting another');
  });

  it('gives its workers no key from the environment', async () => {
    const key = '0'.repeat(32);
    for (const env of [{ NODE_ENV: 'production' }, { LOG_LEVEL: 'warn' }]) {
      const port = await freePort();
      await startOnTerminal({
        ...env,
        PORT: String(port),
        WEB_CONCURRENCY: '2',
        BIFROST_PLAYGROUND_KEY: key,
      });
      const url = `http://127.0.0.1:${port}`;
      await reachable(url);
      expect(await statusOf(`${url}/test?key=${key}`)).toBe(404);
    }
  });
});

describe('Ctrl-C on a terminal', () => {
  it.each(['1', '2'])(
    'says how many websockets are left, and ends at once when it is pressed again: %s processes',
    async (processes) => {
      const program = await startOnTerminal({ DRAIN_SECONDS: '25', WEB_CONCURRENCY: processes });
      const { url } = await greeted(program);
      const clients = await connectMany(url, 8);

      press(program, CTRL_C);
      // A worker that is still starting tells late, when the other has closed one already.
      await program.prints(/Closing [78] websockets within 25 s\. Ctrl-C again ends it at once\./);
      // Each process ends one of its websockets at once, and the next after a share of the 25 s.
      await program.prints(/\r\n[5-7] websockets left\r\n/);
      const left = clients.filter(({ socket }) => socket.readyState === socket.OPEN);
      expect(left.length).toBeGreaterThan(0);
      press(program, CTRL_C);
      // The end by SIGINT, as a shell says it.
      expect(await program.ended).toEqual({ code: 130, signal: null });
      expect(program.output).not.toMatch(/INFO/);
    },
  );

  it('ends it at once when nobody is connected, whatever DRAIN_SECONDS says', async () => {
    const program = await startOnTerminal({ DRAIN_SECONDS: '25' });
    await greeted(program);
    const before = program.output;
    const begun = performance.now();
    press(program, CTRL_C);
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(SOON_MS);
    expect(program.output).toBe(`${before}^C`);
  });
});
