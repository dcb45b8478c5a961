import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SECRET } from '../support/tokens.ts';
import type { Ending } from './nodes-oracle.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** Without a `.env`, so that every machine tortures the same server. */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** One of the nodes: always on the same port, killed and started as often as one likes. */
export class NodeProcess {
  readonly port: number;
  readonly #index: number;
  readonly #redisUrl: string;
  readonly #losses: Ending[];
  #child: ChildProcess | undefined;
  #complaint = '';

  /** `losses` is where it notes when it lost Redis. */
  constructor(index: number, port: number, redisUrl: string, losses: Ending[]) {
    this.#index = index;
    this.port = port;
    this.#redisUrl = redisUrl;
    this.#losses = losses;
    process.once('exit', () => this.#child?.kill('SIGKILL'));
  }

  start(): void {
    const child = spawn(process.execPath, [PROGRAM], {
      cwd: FOLDER,
      env: {
        PATH: process.env['PATH'],
        HOST: '127.0.0.1',
        PORT: String(this.port),
        NODE_ENV: 'production',
        JWT_SECRET: SECRET,
        REDIS_URL: this.#redisUrl,
        // A socket that stays may have missed something, and the contract says so. One that is closed tells its
        // client, so that nothing is missed without a word.
        ON_BROKER_LOSS: 'reconnect',
        LOG_LEVEL: 'error',
        DRAIN_SECONDS: '0',
        METRICS: 'true',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-2_000);
    });
    createInterface(child.stdout).on('line', (line) => {
      const { msg, time } = JSON.parse(line) as { msg: string; time: number };
      if (msg.startsWith('broker unavailable')) this.#losses.push({ node: this.#index, at: time });
    });
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** The end of what it wrote to stderr: of a server, nothing. */
  get complaint(): string {
    return this.#complaint;
  }

  /** Resolves, when it has ended and all that it said has been read, to its exit code. */
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return child?.exitCode ?? null;
    const closed = once(child, 'close');
    child.kill(signal);
    const [code] = await closed;
    return code;
  }

  async isHealthy(): Promise<boolean> {
    try {
      return (await this.#get('/healthz')).status === 200;
    } catch {
      return false;
    }
  }

  /** How many texts it has dropped because no node can have sent them. */
  async droppedTexts(): Promise<number> {
    const metrics = await (await this.#get('/metrics')).text();
    return Number(/^bifrost_broker_malformed_texts_total (\d+)$/m.exec(metrics)?.[1]);
  }

  #get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      headers: { Connection: 'close' },
      signal: AbortSignal.timeout(2_000),
    });
  }
}
