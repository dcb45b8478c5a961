import { once } from 'node:events';
import { expect, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { FullDisk } from '../support/full-disk.ts';
import {
  type Program,
  type ProgramOptions,
  startProgram,
  temporaryFolder,
} from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

export type Env = Readonly<Record<string, string>>;

export interface Running {
  readonly program: Program;
  readonly url: string;
  /** The process that is told to stop. */
  readonly pid: number;
}

/** A line of the log at debug is as long as the channel that it names. */
export const LONG_CHANNEL = 'x'.repeat(60_000);
/** More than the system and a process keep of such lines. */
export const TOO_MANY = 24;
/** The contract's second, threefold. */
export const SOON_MS = 3_000;
const METRICS_TOKEN = 'sesame';

/** The program on a known port, since nobody may be able to read which one it got; resolves when it serves. */
export async function start(env: Env, options: ProgramOptions = {}): Promise<Running> {
  const port = await freePort();
  const settings = {
    JWT_SECRET: SECRET,
    PORT: String(port),
    NODE_ENV: 'production',
    LOG_LEVEL: 'debug',
    METRICS: 'true',
    METRICS_TOKEN,
    MAX_CHANNEL_LENGTH: '65536',
    ...env,
  };
  const program = startProgram(await temporaryFolder(), settings, options);
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (program.child.exitCode !== null) throw new Error(`it ended: ${program.output}`);
    const response = await fetch(`${url}/healthz`).catch(() => undefined);
    if (response?.status === 200) return { program, url, pid: program.child.pid ?? 0 };
  }
}

export async function startOnFullDisk(env: Env): Promise<Running & { readonly disk: FullDisk }> {
  const disk = new FullDisk();
  onTestFinished(() => disk.close());
  return { ...(await start(env, { launcher: disk.launcher })), disk };
}

export async function broadcast(url: string, channel: string): Promise<void> {
  const body = JSON.stringify({ token: sign({ channel, message: {} }) });
  let response: Response;
  // 503 from a worker that has just begun to listen, while another one is ready already.
  do response = await fetch(`${url}/broadcast`, { method: 'POST', body });
  while (response.status === 503);
  expect(await response.json()).toEqual({ message: 'Success', deliveries: 0 });
}

export async function droppedLines(url: string): Promise<number> {
  const headers = { Authorization: `Bearer ${METRICS_TOKEN}` };
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text();
  return Number(/^bifrost_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
}

/** Has it write `count` long lines. */
export async function write({ url }: Running, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await broadcast(url, `${n} ${LONG_CHANNEL}`);
}

/** Sends SIGTERM; resolves to its exit code when it has ended, which must be soon. */
export async function stop({ program, pid }: Running): Promise<number> {
  const begun = performance.now();
  process.kill(pid, 'SIGTERM');
  const [code] = await once(program.child, 'exit');
  expect(performance.now() - begun).toBeLessThan(SOON_MS);
  return code;
}
