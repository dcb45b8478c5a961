import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { flood } from '../support/flood.ts';
import { PositionedClient } from '../support/positioned-client.ts';
import { type Program, startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

/** How often the first process tells the others the position of now. */
const TICK_MS = 3_000;

/** Two workers that listen and carry broadcasts. */
async function startCluster(env: Record<string, string> = {}) {
  const program = startProgram(await temporaryFolder(), {
    JWT_SECRET: SECRET,
    WEB_CONCURRENCY: '2',
    ...env,
  });
  await program.prints(/(?:broker available[\s\S]*){2}/);
  const port = await program.listening();
  return { program, port, url: `http://127.0.0.1:${port}` };
}

/** Those that listen, and have not died. */
function workersOf({ output }: Program): number[] {
  const listening = [...output.matchAll(/"pid":(\d+).*listens on/g)].map(([, pid]) => Number(pid));
  return listening.filter((pid) => !output.includes(`"worker":${pid},`));
}

/** Posts until a worker has answered: the one that had the connection may be killed. */
async function publish(url: string, channel: string, message: unknown): Promise<void> {
  const broadcasts = [{ channel, message }];
  const body = JSON.stringify({ token: sign({ broadcasts, jti: randomUUID() }) });
  const headers = { Connection: 'close' };
  await attempt(async () => {
    const response = await fetch(`${url}/broadcast`, { method: 'POST', headers, body });
    if (response.status !== 200) throw new Error(`${response.status}`);
  });
}

/** Tries again for as long as it may take until another worker is there. */
async function attempt<T>(act: () => Promise<T>): Promise<T> {
  for (let left = 1_000; ; left -= 1) {
    try {
      return await act();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

/** Connects until a worker takes the connection, and keeps it until the client is confirmed. */
function comeBack(port: number, channel: string, since: string) {
  return attempt(async () => {
    const client = await PositionedClient.connect(port, [channel], since);
    const [confirmation] = await client.confirmed();
    return { client, confirmation };
  });
}

describe('WEB_CONCURRENCY=2 and clients that ask for positions', () => {
  it('have each broadcast once and in order, on whichever worker, and when workers are killed', async () => {
    const { program, port, url } = await startCluster();
    const total = 150;
    const first = await PositionedClient.connect(port, ['a'], null);
    let position = await first.began();
    first.cut();
    const publishAll = async () => {
      for (let n = 0; n < total; n += 1) {
        if (n === 50 || n === 100) process.kill(workersOf(program)[0] ?? 0, 'SIGKILL');
        await publish(url, 'a', { n });
        // One of them is always there.
        if (n === 80) await program.prints(/(?:broker available[\s\S]*){3}/);
      }
    };
    const publishing = publishAll();

    const received: number[] = [];
    for (let hop = 0; received.length < total; hop += 1) {
      const { client, confirmation } = await comeBack(port, 'a', position);
      expect(confirmation).toMatchObject({ recovered: true });
      position = confirmation?.position ?? '';
      const upTo = Math.min(received.length + 1 + (hop % 7), total);
      try {
        while (received.length < upTo) {
          const { data, position: reached = '' } = await client.next<{ n: number }>();
          received.push(data.n);
          position = reached;
        }
      } catch {
        // Its worker was killed.
      }
      client.cut();
    }
    await publishing;
    expect(received).toEqual(Array.from({ length: total }, (_, n) => n));
  });

  it('learn the position of now in time, also where nothing is broadcast', async () => {
    const { port, url } = await startCluster();
    const client = await PositionedClient.connect(port, ['quiet'], null);
    const began = await client.began();
    await publish(url, 'busy', {});
    const start = performance.now();
    let position: string | undefined;
    do position = await client.ping();
    while (position === began);
    expect(String(position) > began).toBe(true);
    expect(performance.now() - start).toBeLessThan(3 * TICK_MS);
  });

  it('are closed when the first process hangs, and have what they missed when it continues', async () => {
    const { program, port, url } = await startCluster();
    const [other = 0] = workersOf(program);
    const pid = program.child.pid ?? 0;
    onTestFinished(() => {
      process.kill(other, 'SIGKILL');
      process.kill(pid, 'SIGCONT');
    });
    // Everything goes to one worker.
    process.kill(other, 'SIGSTOP');
    const client = await PositionedClient.connect(port, ['a'], null);
    const position = await client.began();
    process.kill(pid, 'SIGSTOP');
    // More than 64 MiB, which is what may wait. Kept, it would push the rest out.
    const message = { padding: 'x'.repeat(700_000) };
    const large = JSON.stringify({ token: sign({ channel: 'nobody', message, history: false }) });
    const flooding = flood(port, large, 110);
    expect(await client.client.closed).toEqual({ code: 1013, reason: 'Try again later' });
    await flooding;
    process.kill(pid, 'SIGCONT');

    await publish(url, 'a', { n: 1 });
    const { client: again, confirmation } = await comeBack(port, 'a', position);
    expect(confirmation).toEqual({ channel: 'a', recovered: true, missed: 1, position });
    expect(await again.next()).toMatchObject({ data: { n: 1 } });
  });

  it('are counted, with what the first process keeps, in the metrics of all', async () => {
    const { port, url } = await startCluster({ METRICS: 'true' });
    const first = await PositionedClient.connect(port, ['a', 'b'], null);
    const position = await first.began();
    first.cut();
    await publish(url, 'a', { n: 1 });
    await publish(url, 'a', { n: 2 });
    await publish(url, 'c', { n: 3 });
    const again = await PositionedClient.connect(port, ['a', 'b'], position);
    expect(await again.confirmed()).toMatchObject([{ missed: 2 }, { missed: 0 }]);
    const stranger = await PositionedClient.connect(port, ['a', 'b'], 'elsewhen.1');
    const gap = { recovered: false };
    expect(await stranger.confirmed()).toMatchObject([gap, gap]);

    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('\nbifrost_history_messages 3\n');
    expect(metrics).toMatch(/\nbifrost_history_bytes 7\d\d\n/);
    expect(metrics).toContain('\nbifrost_replayed_messages_total 2\n');
    expect(metrics).toContain('\nbifrost_recovery_gaps_total{reason="epoch"} 2\n');
    expect(metrics).toContain('\nbifrost_recovery_gaps_total{reason="age"} 0\n');
  });
});
