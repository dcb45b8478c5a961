import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { SERVER_PROGRAM } from '../support/build.ts';
import { freePort } from '../support/free-port.ts';
import { ServerProcess } from '../support/server-process.ts';
import { SECRET } from '../support/tokens.ts';

const MEMORY_PROBE = new URL('./memory-probe.js', import.meta.url).href;
/** The bearer token for `/metrics`. */
export const METRICS_TOKEN = 'a token for scrapers';
const REQUEST_TIMEOUT_MS = 10_000;
const SAMPLING_INTERVAL_MS = 50;

/** Bytes after a forced collection. */
export interface Memory {
  readonly heap: number;
  readonly rss: number;
}

export interface ServerOptions {
  /** A free one unless given. */
  readonly port?: number;
  /** What an operator would set, beside port, host and secret. */
  readonly env?: Readonly<Record<string, string>>;
  /** How many file descriptors each of its processes may have. */
  readonly maxFiles?: number;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built program as an operator runs it, in a process of its own whose memory and files are measured. */
export class ServerUnderTest {
  /** The command that runs the command of every server of this run. */
  static launcher: readonly string[] = [];
  readonly port: number;
  readonly #process: ServerProcess;
  #peakRss = 0;
  readonly ended: Promise<ProcessEnd>;

  private constructor(port: number, serverProcess: ServerProcess) {
    this.port = port;
    this.#process = serverProcess;
    this.ended = once(serverProcess.child, 'exit').then(([code, signal]) => ({ code, signal }));
    const sampling = setInterval(() => {
      this.#peakRss = Math.max(this.#peakRss, this.#rss());
    }, SAMPLING_INTERVAL_MS);
    void this.ended.then(() => clearInterval(sampling));
  }

  /** Resolves when it is ready. */
  static async start({ port, env, maxFiles }: ServerOptions = {}): Promise<ServerUnderTest> {
    const serverPort = port ?? (await freePort());
    const limit = maxFiles === undefined ? '' : `ulimit -n ${maxFiles} && `;
    const program = [process.execPath, '--expose-gc', '--import', MEMORY_PROBE, SERVER_PROGRAM];
    const serverProcess = new ServerProcess({
      command: ['sh', '-c', `${limit}exec "$0" "$@"`, ...ServerUnderTest.launcher, ...program],
      env: {
        HOST: '127.0.0.1',
        PORT: String(serverPort),
        NODE_ENV: 'production',
        // The initial threshold of glibc. If unset, glibc adapts it, and how much freed memory stays resident differs
        // by a tenth from run to run.
        MALLOC_TRIM_THRESHOLD_: '131072',
        // Full within the first attacks: what the history may take by design would count as growth.
        HISTORY_BYTES: '1048576',
        JWT_SECRET: SECRET,
        ...env,
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const server = new ServerUnderTest(serverPort, serverProcess);
    try {
      await serverProcess.untilReady(serverPort);
    } catch (error) {
      throw new Error(`${(error as Error).message}. ${server.stderr}`, { cause: error });
    }
    return server;
  }

  get isRunning(): boolean {
    return this.#process.isRunning;
  }

  /** The end of what it wrote to stderr. */
  get stderr(): string {
    return this.#process.stderr;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.child.kill(signal);
  }

  /** Kills it and resolves when it has ended. */
  stop(): Promise<void> {
    return this.#process.end('SIGKILL');
  }

  /** The ids of its child processes that still run. */
  workers(): number[] {
    const { pid } = this.#process;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.split(' ').filter(Boolean).map(Number);
  }

  /** Resolves to undefined when there is no answer. */
  async get(
    path: string,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<{ status: number; body: string } | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
        headers: { Connection: 'close', Authorization: `Bearer ${METRICS_TOKEN}` },
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: response.status, body: await response.text() };
    } catch {
      return undefined;
    }
  }

  /** The number of subscriptions in `/info.json`. */
  async subscriptions(): Promise<number> {
    const info = await this.get('/info.json');
    return Number(/"connected":(\d+)/.exec(info?.body ?? '')?.[1] ?? Number.NaN);
  }

  /** How many websockets it has closed with this code. */
  disconnects(code: number): Promise<number> {
    return this.#metric(`bifrost_disconnects_total{code="${code}"}`);
  }

  /** How many lines of its log it could not write. */
  droppedLines(): Promise<number> {
    return this.#metric('bifrost_log_lines_dropped_total');
  }

  /** Open files and sockets as the kernel counts them, because a leaked socket may be missing in the server's counters. */
  get openFiles(): number {
    if (!this.isRunning) throw this.#endedError();
    return readdirSync(`/proc/${this.#process.pid}/fd`).length;
  }

  async memory(): Promise<Memory> {
    const { child } = this.#process;
    child.send('memory');
    const ended = this.ended.then(() => {
      throw this.#endedError();
    });
    const [{ heapUsed, rss }] = await Promise.race([once(child, 'message'), ended]);
    return { heap: heapUsed, rss };
  }

  /** The most memory that was resident since the last call, in bytes. */
  takePeakRss(): number {
    const peak = Math.max(this.#peakRss, this.#rss());
    this.#peakRss = 0;
    return peak;
  }

  #endedError(): Error {
    return new Error(`The server has ended. ${this.stderr}`);
  }

  async #metric(name: string): Promise<number> {
    const metrics = await this.get('/metrics');
    const line = metrics?.body.split('\n').find((sample) => sample.startsWith(`${name} `));
    return Number(line?.slice(name.length) ?? 0);
  }

  #rss(): number {
    try {
      const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
    } catch {
      return 0;
    }
  }
}
