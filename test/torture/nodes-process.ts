import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { SERVER_PROGRAM } from '../support/build.ts';
import { ServerProcess } from '../support/server-process.ts';
import { SECRET } from '../support/tokens.ts';
import type { NodeEvent } from './nodes-oracle.ts';

/** How the log line begins that says so when the node loses Redis. */
const LOSS_MESSAGE = 'broker unavailable';
const REQUEST_TIMEOUT_MS = 2_000;

/** A server of the cluster: always on the same port, killed and started as often as the run needs. */
export class NodeProcess {
  readonly port: number;
  readonly #index: number;
  readonly #redisUrl: string;
  readonly #losses: NodeEvent[];
  readonly #env: Readonly<Record<string, string>>;
  #process: ServerProcess | undefined;
  /** Of the processes before this one. */
  #earlierStderr = '';

  /** Adds the moments at which the node lost Redis to `losses`. `env` are further settings. */
  constructor(
    index: number,
    port: number,
    redisUrl: string,
    losses: NodeEvent[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#index = index;
    this.port = port;
    this.#redisUrl = redisUrl;
    this.#losses = losses;
    this.#env = env;
  }

  start(): void {
    this.#earlierStderr = this.stderr;
    this.#process = new ServerProcess({
      command: [process.execPath, SERVER_PROGRAM],
      env: {
        HOST: '127.0.0.1',
        PORT: String(this.port),
        NODE_ENV: 'production',
        JWT_SECRET: SECRET,
        REDIS_URL: this.#redisUrl,
        // By the contract, a websocket that stays open may have missed messages. One that is closed tells its client.
        ON_BROKER_LOSS: 'reconnect',
        LOG_LEVEL: 'error',
        DRAIN_SECONDS: '0',
        METRICS: 'true',
        ...this.#env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout } = this.#process.child;
    if (stdout === null) throw new Error('The node has no stdout');
    createInterface(stdout).on('line', (line) => {
      const { msg, time } = JSON.parse(line) as { msg: string; time: number };
      if (msg.startsWith(LOSS_MESSAGE)) this.#losses.push({ node: this.#index, at: time });
    });
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  /** What it wrote to stderr: nothing unless it is at fault. */
  get stderr(): string {
    return this.#earlierStderr + (this.#process?.stderr ?? '');
  }

  /** Resolves to its exit code when it has ended and its output has been read. */
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (this.#process === undefined) return null;
    const { child, isRunning } = this.#process;
    if (!isRunning) return child.exitCode;
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

  /** How many texts it dropped because they were not in the form of a node's. */
  async droppedTexts(): Promise<number> {
    const metrics = await (await this.#get('/metrics')).text();
    return Number(/^bifrost_broker_malformed_texts_total (\d+)$/m.exec(metrics)?.[1]);
  }

  #get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      headers: { Connection: 'close' },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  }
}
