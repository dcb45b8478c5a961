import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { ClientOptions } from 'ws';
import { loadConfig } from '../../src/config/config.ts';
import type { ServerOptions } from '../../src/parts.ts';
import { createServer, type Server } from '../../src/server.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { connectClient, type TestClient } from './client.ts';
import { connectRaw, type RawConnection } from './raw.ts';
import { SECRET, sign } from './tokens.ts';

export interface TestServer {
  readonly server: Server;
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  connect(options?: ClientOptions): Promise<TestClient>;
  raw(): Promise<RawConnection>;
  /** Posts a body to /broadcast. */
  post(body: string | Buffer, headers?: Record<string, string>): Promise<Response>;
  /** Signs and posts a message; resolves to the deliveries, rejects when the answer is not 200. */
  broadcast(channel: string, message: unknown): Promise<number>;
  /** The counters of /info.json. */
  stats(): Promise<{ deliveries: number; connected: number }>;
}

/** A real server on a free port, closed when the test ends. `env` is what an operator would set. */
export async function startServer(
  env: Readonly<Record<string, string>> = {},
  log: Log = pino({ level: 'silent' }),
  options: ServerOptions = {},
): Promise<TestServer> {
  const server = createServer(
    loadConfig({ JWT_SECRET: SECRET, HOST: '127.0.0.1', PORT: '0', DRAIN_SECONDS: '0', ...env }),
    log,
    options,
  );
  const bound = await server.listen();
  if (bound === undefined) throw new Error('closed before it listened');
  const { port } = bound;
  onTestFinished(() => server.close());
  const url = `http://127.0.0.1:${port}`;

  const post = (body: string | Buffer, headers = {}) =>
    fetch(`${url}/broadcast`, {
      method: 'POST',
      body: new Uint8Array(Buffer.from(body)),
      headers: { 'Content-Type': 'application/json', ...headers },
    });

  return {
    server,
    port,
    url,
    post,
    connect: (options) => connectClient(`ws://127.0.0.1:${port}/subscribe`, options),
    raw: () => connectRaw(port),
    async broadcast(channel, message) {
      const response = await post(JSON.stringify({ token: sign({ channel, message }) }));
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${response.status} ${text}`);
      return JSON.parse(text).deliveries;
    },
    async stats() {
      const response = await fetch(`${url}/info.json`);
      return ((await response.json()) as { stats: { deliveries: number; connected: number } })
        .stats;
    },
  };
}
