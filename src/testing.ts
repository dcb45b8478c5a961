/// <reference lib="esnext.disposable" preserve="true" />
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { MemoryHistory } from './broker/history-memory.ts';
import { type Config, loadConfig } from './config/config.ts';
import { variableNames } from './config/settings.ts';
import { BifrostPublisher } from './publisher/index.ts';
import { createServer, type Server } from './server.ts';
import type { Log } from './telemetry/log.ts';
import {
  type NextBroadcastOptions,
  type PostedBroadcast,
  PostedBroadcasts,
} from './testing/posted-broadcasts.ts';

export type { NextBroadcastOptions, PostedBroadcast };

/** Environment variables of the server, by name, such as `{ HISTORY_MESSAGES: '1' }`. Empty ones are like none. */
export type TestSettings = Readonly<Record<string, string | undefined>>;

/** A real server for tests, in this process. Its functions need no `this`. */
export interface TestBifrost extends AsyncDisposable {
  /** Where it is, for `BIFROST_URL`: `http://127.0.0.1:41234`. The same after `restart` and `forget`. */
  readonly url: string;
  /** Where websockets connect to: `ws://127.0.0.1:41234/subscribe`. */
  readonly subscribeUrl: string;
  /** Its `JWT_SECRET`: a random one, unless the settings have one. */
  readonly secret: string;
  /** Publishes to this server, and signs tokens for it. */
  readonly publisher: BifrostPublisher;
  /**
   * What was posted so far, in the one order in which it was handed to the subscribers. A message to several channels
   * is in it once for each; a repeated request that is not delivered again is not. Of more than 10,000 it has the newest.
   */
  readonly broadcasts: readonly PostedBroadcast[];
  /**
   * Resolves to the oldest broadcast that no earlier call has taken, be it one that came before this call or one that
   * comes after it. With `channel`, broadcasts to other channels stay for other calls. Rejects when the signal is
   * aborted or the server is closed.
   */
  readonly nextBroadcast: (options?: NextBroadcastOptions) => Promise<PostedBroadcast>;
  /**
   * Cuts every websocket off without a close frame, as a lost network does: clients see 1006. From the moment
   * it returns nothing is handed to them. Who comes back can recover.
   */
  readonly drop: () => void;
  /**
   * Stops the server as an update does: websockets are closed with 1001. Then starts it on the same port with its
   * history, so that clients that come back recover what they have missed. `broadcasts` stays.
   */
  readonly restart: () => Promise<void>;
  /**
   * Ends the server as a crash does: websockets are cut off, and the history is lost. Then starts it on the same port,
   * so that clients that come back are told of a gap. `broadcasts` stays.
   */
  readonly forget: () => Promise<void>;
  /** Ends the server and everybody's waiting for broadcasts. Safe to call twice. */
  readonly close: () => Promise<void>;
}

/** What a test server is without settings: free port, nobody else can reach it, quiet, and it ends at once. */
const DEFAULTS = { HOST: '127.0.0.1', PORT: '0', DRAIN_SECONDS: '0', LOG_LEVEL: 'silent' };

/** Settings of what a test server does not have. */
const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ['REDIS_URL', 'it is a single node'],
  ['WEB_CONCURRENCY', 'it is a single process'],
  ['HISTORY_FILE', 'restart() keeps the history in memory'],
]);

/**
 * Starts a real server on a free port of 127.0.0.1. It reads neither the environment nor `.env`; with `LOG_LEVEL` among
 * the settings it logs to standard error. Rejects when a setting is unknown or cannot be used.
 *
 * ```ts
 * await using bifrost = await startBifrost();
 * await bifrost.publisher.publish('user:1', { event: 'greeting' });
 * const { message } = await bifrost.nextBroadcast({ channel: 'user:1' });
 * ```
 */
export async function startBifrost(settings: TestSettings = {}): Promise<TestBifrost> {
  const config = loadConfig(checkSettings(settings));
  const server = new TestServer(config);
  await server.start();
  const url = `${config.tls === undefined ? 'http' : 'https'}://${server.authority}`;
  const close = () => server.close();
  return {
    url,
    subscribeUrl: `${url.replace(/^http/, 'ws')}/subscribe`,
    secret: config.jwtSecret,
    publisher: new BifrostPublisher({ url, secret: config.jwtSecret }),
    broadcasts: server.posted.all,
    nextBroadcast: (options) => server.posted.next(options),
    drop: () => server.drop(),
    restart: () => server.restart(),
    forget: () => server.forget(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The variables of a test server with these settings. Throws when one of them is not for a test server. */
function checkSettings(settings: TestSettings): Record<string, string> {
  const variables: Record<string, string> = {
    ...DEFAULTS,
    JWT_SECRET: randomBytes(64).toString('hex'),
  };
  for (const [name, text] of Object.entries(settings)) {
    if (!variableNames.includes(name)) throw new Error(`There is no setting ${name}`);
    const why = UNSUPPORTED.get(name);
    if (why !== undefined) throw new Error(`A test server cannot have ${name}: ${why}`);
    if (text) variables[name] = text;
  }
  return variables;
}

/** The servers that follow each other on one port. */
class TestServer {
  readonly posted = new PostedBroadcasts();
  readonly #log: Log;
  #config: Config;
  #history: MemoryHistory;
  #server: Server | undefined;
  /** Settled when nothing is being started or stopped. Never rejects. */
  #idle: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(config: Config) {
    this.#config = config;
    this.#log = pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: true }));
    this.#history = new MemoryHistory(config);
  }

  /** Host and port as they stand in a URL. */
  get authority(): string {
    const { host = '127.0.0.1', port } = this.#config;
    return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  async start(): Promise<void> {
    this.#server = createServer(this.#config, this.#log, {
      history: this.#history,
      onBroadcast: ({ channel, message }, deliveries) => {
        this.posted.add({ channel, message: JSON.parse(message), deliveries });
      },
    });
    const bound = await this.#server.listen();
    if (bound !== undefined) this.#config = { ...this.#config, port: bound.port };
  }

  drop(): void {
    this.#server?.cutConnections();
  }

  restart(): Promise<void> {
    return this.#enqueue(async () => {
      await this.#server?.close();
      await this.start();
    });
  }

  forget(): Promise<void> {
    return this.#enqueue(async () => {
      this.drop();
      await this.#server?.close();
      this.#history = new MemoryHistory(this.#config);
      await this.start();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#idle.then(async () => {
      await this.#server?.close();
      this.posted.close();
    });
    return this.#closing;
  }

  /** Runs a restart after those that were asked for before it. */
  #enqueue(restart: () => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new Error('The server is closed'));
    const restarted = this.#idle.then(restart);
    this.#idle = restarted.catch(() => {});
    return restarted;
  }
}
