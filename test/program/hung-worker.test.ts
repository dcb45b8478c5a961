import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectClient } from '../support/client.ts';
import { flood } from '../support/flood.ts';
import { type Program, startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

const BOTH_LISTEN = /listens on[\s\S]*listens on/;
/** What the contract gives a drain beyond its window. */
const GRACE_MS = 3_000;

async function startCluster(env: Record<string, string> = {}) {
  const program = startProgram(await temporaryFolder(), {
    JWT_SECRET: SECRET,
    WEB_CONCURRENCY: '2',
    ...env,
  });
  await program.prints(BOTH_LISTEN);
  const port = await program.listening();
  const [victim = 0, other = 0] = workersOf(program);
  // A stopped process would outlive the test.
  onTestFinished(() => {
    for (const pid of workersOf(program)) kill(pid, 'SIGKILL');
  });
  return { program, port, victim, other, url: `http://127.0.0.1:${port}` };
}

function workersOf(program: Program): number[] {
  return [...program.output.matchAll(/"pid":(\d+).*listens on/g)].map(([, pid]) => Number(pid));
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended, as it should.
  }
}

describe('a worker that hangs', () => {
  it('is killed and replaced when too many unread messages wait for it', async () => {
    const { program, port, url, victim, other } = await startCluster();
    // Nobody else accepts a connection now, so the subscription is the victim's.
    kill(other, 'SIGSTOP');
    const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
    await client.subscribe('a');
    kill(other, 'SIGCONT');
    kill(victim, 'SIGSTOP');
    const died = program.prints(new RegExp(`"worker":${victim},.*"signal":"SIGKILL"`));

    const message = { padding: 'x'.repeat(700_000) };
    const body = JSON.stringify({ token: sign({ channel: 'a', message }) });
    // More than 64 MiB, which is what may wait.
    await flood(port, body, 110);
    await died;
    expect(program.output).toMatch(
      new RegExp(`"worker":${victim},.*worker does not read its messages, killing it`),
    );

    await program.prints(/listens on[\s\S]*listens on[\s\S]*listens on/);
    await client.closed;
    const again = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
    await again.subscribe('b');
    const small = JSON.stringify({ token: sign({ channel: 'b', message: {} }) });
    const answer = await fetch(`${url}/broadcast`, { method: 'POST', body: small });
    expect(await answer.json()).toEqual({ message: 'Success', deliveries: 1 });
  });

  it('does not delay the shutdown', async () => {
    const { program, victim } = await startCluster({ DRAIN_SECONDS: '0.5' });
    kill(victim, 'SIGSTOP');
    const start = performance.now();
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(3 * (500 + GRACE_MS));
    expect(program.output).toMatch(
      new RegExp(`"worker":${victim},.*did not exit within the drain window`),
    );
  });

  it('does not delay the metrics', async () => {
    const { url, victim } = await startCluster({ METRICS: 'true' });
    kill(victim, 'SIGSTOP');
    const start = performance.now();
    const response = await fetch(`${url}/metrics`);
    expect(await response.text()).toContain('bifrost_connections 0\n');
    // It waits a second for each.
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});

describe('a worker that cannot be started', () => {
  it('is started again later', async () => {
    const { program, victim } = await startCluster();
    const { pid } = program.child;
    const limit = async (files: number) => {
      const limited = spawn('prlimit', ['--pid', String(pid), `--nofile=${files}:20000`]);
      expect(await once(limited, 'exit')).toEqual([0, null]);
    };
    await limit(10);
    kill(victim, 'SIGKILL');
    await program.prints(/worker process or its channel failed/);
    await limit(1_000);
    await program.prints(/listens on[\s\S]*listens on[\s\S]*listens on/);
  });
});
