import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SECRET } from '../support/tokens.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PROBE = new URL('./memory-probe.js', import.meta.url).href;
/** Without a `.env`, so that every machine attacks the same server. */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
/** What a server that has one asks for at `/metrics`. */
export const METRICS_TOKEN = 'for the referee only';
const START_WITHIN_MS = 10_000;
const POLL_MS = 50;

/** Bytes after a forced collection. */
export interface Memory {
  readonly heap: number;
  readonly rss: number;
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The built program as an operator runs it, in a process of its own. */
export class ServerProcess {
  /** What is put in front of the command line of every server of this run. */
  static launcher: readonly string[] = [];
  readonly port: number;
  readonly #child: ChildProcess;
  #complaint = '';
  #peak = 0;
  /** How it ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-4_000);
    });
    this.ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    const watch = setInterval(() => {
      this.#peak = Math.max(this.#peak, this.#rss());
    }, POLL_MS);
    void this.ended.then(() => clearInterval(watch));
  }

  /** Resolves when it answers. `files` is how many file descriptors each of its processes may have. */
  static async start(
    port: number,
    env: Readonly<Record<string, string>>,
    files?: number,
  ): Promise<ServerProcess> {
    const limit = files === undefined ? '' : `ulimit -n ${files} && `;
    const program = [
      ...ServerProcess.launcher,
      process.execPath,
      '--expose-gc',
      '--import',
      PROBE,
      PROGRAM,
    ];
    const child = spawn('sh', ['-c', `${limit}exec "$0" "$@"`, ...program], {
      cwd: FOLDER,
      env: {
        PATH: process.env['PATH'],
        HOST: '127.0.0.1',
        PORT: String(port),
        NODE_ENV: 'production',
        // What glibc begins with. Unset, it raises its thresholds with what was freed, and how much of the memory
        // that nobody uses stays resident is another tenth of it in every run.
        MALLOC_TRIM_THRESHOLD_: '131072',
        JWT_SECRET: SECRET,
        ...env,
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const server = new ServerProcess(port, child);
    const deadline = performance.now() + START_WITHIN_MS;
    while ((await server.get('/healthz'))?.body !== '{"status":"ok"}') {
      if (!server.isRunning || performance.now() > deadline) {
        throw new Error(`The server did not start. ${server.complaint}`);
      }
      await delay(POLL_MS);
    }
    return server;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of what it wrote to stderr. */
  get complaint(): string {
    return this.#complaint;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Kills it and resolves when it has ended. */
  async stop(): Promise<void> {
    this.kill('SIGKILL');
    await this.ended;
  }

  /** The processes that it has started and that still run. */
  workers(): number[] {
    const { pid } = this.#child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.split(' ').filter(Boolean).map(Number);
  }

  /** Undefined when it could not be asked. */
  async get(
    path: string,
    patienceMs = START_WITHIN_MS,
  ): Promise<{ status: number; body: string } | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
        headers: { Connection: 'close', Authorization: `Bearer ${METRICS_TOKEN}` },
        signal: AbortSignal.timeout(patienceMs),
      });
      return { status: response.status, body: await response.text() };
    } catch {
      return undefined;
    }
  }

  /** The subscriptions of `/info.json`. */
  async connected(): Promise<number> {
    const info = await this.get('/info.json');
    return Number(/"connected":(\d+)/.exec(info?.body ?? '')?.[1] ?? Number.NaN);
  }

  /** How many websockets it has ended with this close code. */
  async disconnects(code: number): Promise<number> {
    return this.#metric(`bifrost_disconnects_total{code="${code}"}`);
  }

  /** How many lines of its log it could not write. */
  droppedLines(): Promise<number> {
    return this.#metric('bifrost_log_lines_dropped_total');
  }

  /** Open files, sockets included, as the system counts them: those too that no counter of the server knows. */
  get openFiles(): number {
    if (!this.isRunning) throw new Error(`The server has ended. ${this.#complaint}`);
    return readdirSync(`/proc/${this.#child.pid}/fd`).length;
  }

  async memory(): Promise<Memory> {
    this.#child.send('memory');
    const ended = this.ended.then(() => {
      throw new Error(`The server has ended. ${this.#complaint}`);
    });
    const [{ heapUsed, rss }] = await Promise.race([once(this.#child, 'message'), ended]);
    return { heap: heapUsed, rss };
  }

  /** The most memory that was resident since the last call. */
  takePeak(): number {
    const peak = Math.max(this.#peak, this.#rss());
    this.#peak = 0;
    return peak;
  }

  async #metric(name: string): Promise<number> {
    const metrics = await this.get('/metrics');
    const line = metrics?.body.split('\n').find((sample) => sample.startsWith(`${name} `));
    return Number(line?.slice(name.length) ?? 0);
  }

  #rss(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
    } catch {
      return 0;
    }
  }
}
