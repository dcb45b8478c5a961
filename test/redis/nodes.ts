import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { RedisBus } from '../../src/broker/redis/redis-bus.ts';
import { loadConfig } from '../../src/config/config.ts';
import { freePort } from '../support/free-port.ts';
import { RedisServer } from '../support/redis.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

/** A Redis that is there until the test ends. `args` are further settings of its command line. */
export async function startRedis(...args: string[]): Promise<RedisServer> {
  return (await prepareRedis(...args)).start();
}

/** A Redis that has not been started yet. */
export async function prepareRedis(...args: string[]): Promise<RedisServer> {
  const redis = new RedisServer(await freePort(), args);
  onTestFinished(() => redis.close());
  return redis;
}

/** A log that tests read along: the operator's view, and one in which no change is too quick to be seen. */
export class LogBook {
  readonly log = pino({ level: 'info' }, { write: (line) => this.#write(line) });
  /** All of it, whatever was read. */
  text = '';
  #text = '';
  #wake: (() => void) | undefined;

  #write(line: string): void {
    this.text += line;
    this.#text += line;
    this.#wake?.();
  }

  /** Resolves once the log has a match after what earlier calls matched. */
  async reads(pattern: RegExp): Promise<void> {
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        this.#text = this.#text.slice(match.index + match[0].length);
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

export interface Node extends TestServer {
  readonly book: LogBook;
  /** The answer of `GET /healthz`. */
  health(): Promise<{ status: number; body: string }>;
  /** Resolves once `GET /healthz` answers this status. */
  becomes(status: number): Promise<void>;
}

/** A server of this process on that Redis, which may not be there. */
export async function startNode(
  { url }: { readonly url: string },
  env: Record<string, string> = {},
): Promise<Node> {
  const book = new LogBook();
  const { brokerPrefix, history, historyMessages, historyMs } = loadConfig({
    JWT_SECRET: SECRET,
    REDIS_URL: url,
    ...env,
  });
  const bus = new RedisBus({
    url,
    prefix: brokerPrefix,
    history: history === 'redis' ? { messages: historyMessages, ageMs: historyMs } : undefined,
    log: book.log,
    onUnusable: (reason) => book.log.fatal(reason),
  });
  const server = await startServer({ REDIS_URL: url, ...env }, book.log, { bus });
  const health = async () => {
    const response = await fetch(`${server.url}/healthz`);
    return { status: response.status, body: await response.text() };
  };
  return {
    ...server,
    book,
    health,
    async becomes(status) {
      while ((await health()).status !== status);
    },
  };
}

/** Servers of this process that are all connected to that Redis. */
export async function startNodes(
  redis: { readonly url: string },
  count: number,
  env: Record<string, string> = {},
): Promise<readonly [Node, ...Node[]]> {
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(redis, env)));
  await Promise.all(nodes.map((node) => node.becomes(200)));
  return nodes as [Node, ...Node[]];
}
