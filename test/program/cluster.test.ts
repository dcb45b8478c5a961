import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectClient, type TestClient } from '../support/client.ts';
import { withoutPosition } from '../support/positions.ts';
import { type Program, startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

/** Two workers, both listening, and who they are. */
async function startCluster(env: Record<string, string> = {}) {
  const program = startProgram(await temporaryFolder(), {
    JWT_SECRET: SECRET,
    WEB_CONCURRENCY: '2',
    PORT: '0',
    ...env,
  });
  await ready(program, 2);
  const port = await program.listening();
  const url = `http://127.0.0.1:${port}`;
  return { program, port, url, workers: () => workersOf(program) };
}

/** Resolves when so many workers have come so far that they listen and carry broadcasts. */
async function ready(program: Program, workers: number): Promise<void> {
  for (const line of ['listens on', 'broker available']) {
    await program.prints(new RegExp(`(?:${line}[\\s\\S]*){${workers}}`));
  }
}

/** Has four clients connect to each worker: one that is stopped accepts nobody. */
async function connectToEach(port: number, workers: readonly number[]): Promise<TestClient[][]> {
  const clients = [];
  for (const worker of workers) {
    const others = workers.filter((other) => other !== worker);
    for (const other of others) process.kill(other, 'SIGSTOP');
    clients.push(await connectMany(port, 4));
    for (const other of others) process.kill(other, 'SIGCONT');
  }
  return clients;
}

/** The processes that said that they listen, in the order in which they did. */
function workersOf(program: Program): number[] {
  return [...program.output.matchAll(/"pid":(\d+).*listens on/g)].map(([, pid]) => Number(pid));
}

async function broadcast(url: string, channel: string, message: unknown): Promise<unknown> {
  const response = await fetch(`${url}/broadcast`, {
    method: 'POST',
    headers: { Connection: 'close' },
    body: JSON.stringify({ token: sign({ channel, message }) }),
  });
  return response.json();
}

function connectMany(port: number, count: number): Promise<TestClient[]> {
  return Promise.all(
    Array.from({ length: count }, async () =>
      (await connectClient(`ws://127.0.0.1:${port}/subscribe`)).subscribe('a'),
    ),
  );
}

describe('WEB_CONCURRENCY', () => {
  it('confirms a token at the handshake as soon as the first process has', async () => {
    const { port, url } = await startCluster({ TOKEN_AT_CONNECT: 'true' });
    const clients = await Promise.all(
      Array.from({ length: 4 }, () =>
        connectClient(`ws://127.0.0.1:${port}/subscribe`, {
          headers: { Authorization: `Bearer ${sign({ channels: ['a', 'b'] })}` },
        }),
      ),
    );
    for (const client of clients) {
      for (const channel of ['a', 'b']) {
        expect(await client.next()).toMatchObject({ data: JSON.stringify({ channel }) });
      }
    }
    expect(await broadcast(url, 'b', {})).toEqual({ message: 'Success', deliveries: 4 });
    for (const client of clients) expect(await client.next()).toEqual({});
  });

  it('serves from several processes: each broadcast reaches all of them and is counted once', async () => {
    const { port, url, workers } = await startCluster({ METRICS: 'true' });
    expect(new Set(workers()).size).toBe(2);
    const clients = (await connectToEach(port, workers())).flat();

    for (let n = 0; n < 6; n += 1) {
      expect(await broadcast(url, 'a', { n })).toEqual({ message: 'Success', deliveries: 8 });
      for (const client of clients) expect(await client.next()).toEqual({ n });
    }

    let info: unknown;
    const expected = { stats: { deliveries: 8 + 6 * 8, connected: 8 } };
    do info = await (await fetch(`${url}/info.json`)).json();
    while (JSON.stringify(info) !== JSON.stringify(expected));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('bifrost_connections 8\n');
    // The least of all workers, not their sum.
    expect(metrics).toContain('bifrost_broker_available 1\n');
    expect(metrics).toContain('bifrost_deliveries_total 56\n');
  });

  it('replaces a worker that dies while the connections of the others stay open', async () => {
    const { program, port, url, workers } = await startCluster();
    const [victim = 0, other = 0] = workers();
    const [lost = [], kept = []] = await connectToEach(port, [victim, other]);
    process.kill(victim, 'SIGKILL');
    for (const client of lost) expect(await client.closed).toMatchObject({ code: 1006 });
    await ready(program, 3);

    const others = await connectMany(port, 4);
    expect(await broadcast(url, 'a', { n: 1 })).toMatchObject({ deliveries: 8 });
    for (const client of [...kept, ...others]) expect(await client.next()).toEqual({ n: 1 });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'drains all processes on %s, whether one or all of them receive it',
    async (signal) => {
      const { program, port, workers } = await startCluster();
      const clients = await connectMany(port, 8);
      // Platforms and terminals signal every process.
      for (const pid of workers()) process.kill(pid, signal);
      program.child.kill(signal);
      if (signal === 'SIGTERM') program.child.kill(signal);
      for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 });
      expect(await program.ended).toEqual({ code: 0, signal: null });
    },
  );

  it('ends the workers when the primary has been killed', async () => {
    const { program, port } = await startCluster();
    const clients = await connectMany(port, 4);
    program.child.kill('SIGKILL');
    for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 });
    // Closed when the last process that could print has ended.
    await program.ended;
  });

  it('ends all processes on SIGHUP without a certificate, as when the terminal is closed', async () => {
    const { program, port, workers } = await startCluster();
    const clients = await connectMany(port, 4);
    // A terminal signals every process of its session.
    for (const pid of workers()) process.kill(pid, 'SIGHUP');
    program.child.kill('SIGHUP');
    for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 });
    expect(await program.ended).toEqual({ code: null, signal: 'SIGHUP' });
  });

  it('makes one development secret for all processes', async () => {
    const folder = await temporaryFolder();
    const program = startProgram(folder, { WEB_CONCURRENCY: '2' });
    await program.prints(/listens on[\s\S]*listens on/);
    const text = await readFile(join(folder, '.env'), 'utf8');
    expect(text.match(/JWT_SECRET=/g)).toHaveLength(1);
    expect(program.output.match(/JWT_SECRET was not set/g)).toHaveLength(1);
  });

  it('gives a worker that replaces another the same configuration, even if .env has changed', async () => {
    const folder = await temporaryFolder();
    const program = startProgram(folder, { JWT_SECRET: SECRET, WEB_CONCURRENCY: '2' });
    await program.prints(/listens on[\s\S]*listens on/);
    await writeFile(join(folder, '.env'), 'MAX_CHANNEL_LENGTH=5\nnot an assignment\n');
    process.kill(workersOf(program)[0] ?? 0, 'SIGKILL');
    await program.prints(/listens on[\s\S]*listens on[\s\S]*listens on/);
    expect(program.output.match(/"maxChannelLength":255/g)).toHaveLength(3);
  });

  it('ends with an error when its port is taken', async () => {
    const { port } = await startCluster();
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      WEB_CONCURRENCY: '2',
      PORT: String(port),
    });
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toMatch(/Cannot listen on port \d+/);
  });

  it('of 1 is a single process', async () => {
    const program = startProgram(await temporaryFolder(), {
      JWT_SECRET: SECRET,
      WEB_CONCURRENCY: '1',
    });
    await program.listening();
    expect(workersOf(program)).toEqual([program.child.pid]);
    program.child.kill('SIGTERM');
    await once(program.child, 'close');
  });
});

describe('WEB_CONCURRENCY=2 and batches', () => {
  it('hands a batch to the sockets of both, and a jti once wherever it is posted', async () => {
    const { port, url, workers } = await startCluster();
    const clients = (await connectToEach(port, workers())).flat();
    const publish = async (jti: string) => {
      const broadcasts = [
        { channel: 'a', message: { jti, n: 1 } },
        { channels: ['nobody', 'a'], message: { jti, n: 2 } },
      ];
      const response = await fetch(`${url}/broadcast`, {
        method: 'POST',
        headers: { Connection: 'close' },
        body: JSON.stringify({ token: sign({ broadcasts, jti }) }),
      });
      return withoutPosition(await response.text());
    };
    const first =
      '{"message":"Success","deliveries":16,"results":[{"deliveries":8},{"deliveries":8}]}';
    const duplicate = `${first.slice(0, -1)},"duplicate":true}`;
    expect(await publish('x')).toBe(first);
    for (let n = 0; n < 4; n += 1) expect(await publish('x')).toBe(duplicate);
    const answers = await Promise.all(Array.from({ length: 20 }, () => publish('y')));
    expect(answers.filter((text) => text === first)).toHaveLength(1);
    expect(answers.filter((text) => text === duplicate)).toHaveLength(19);
    for (const client of clients) {
      for (const jti of ['x', 'y']) {
        for (const n of [1, 2]) expect(await client.next()).toEqual({ jti, n });
      }
      await client.ping();
    }
  });
});
