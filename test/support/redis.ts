import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';

/** Below the ports that systems give to outgoing connections: one of those might take it while nobody listens. */
const LEAST_PORT = 10_000;
const MOST_PORT = 15_999;

/** A loopback port that is free now, and stays so. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(randomInt(LEAST_PORT, MOST_PORT), '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** A real `redis-server` that keeps nothing on disk. It can be killed and started again on the same port. */
export class RedisServer {
  readonly port: number;
  readonly #args: readonly string[];
  /** For what Redis insists on writing, and so that it finds no configuration of this machine. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'bifrost-redis-'));
  readonly #killAtExit = () => this.close();
  #child: ChildProcess | undefined;

  /** `args` are further settings, as on the command line of `redis-server`. */
  constructor(port: number, args: readonly string[] = []) {
    this.port = port;
    this.#args = args;
    // Whatever becomes of this process, no server stays behind.
    process.once('exit', this.#killAtExit);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<this> {
    const child = spawn(
      'redis-server',
      [
        ...['--bind', '127.0.0.1', '--port', String(this.port), '--dir', this.#folder],
        ...['--save', '', '--appendonly', 'no', ...this.#args],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        const isMissing = error.code === 'ENOENT';
        reject(
          isMissing
            ? new Error('These tests need redis-server (Debian: apt-get install redis-server)')
            : error,
        );
      });
      child.once('exit', () => reject(new Error(`redis-server did not start:\n${output}`)));
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          output = (output + chunk.toString()).slice(-10_000);
          if (output.includes('Ready to accept connections')) resolve();
        });
      }
    });
    return this;
  }

  /** Resolves when it has taken the signal: for those that end a process, when it has ended. */
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Stops the whole process in its tracks; its connections stay open. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Sends one command on a connection of its own and resolves to the reply. */
  async command(...args: string[]): Promise<unknown> {
    const client = await createClient({ url: this.url })
      .on('error', () => {})
      .connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  /** Ends it for good. */
  close(): void {
    process.off('exit', this.#killAtExit);
    this.#child?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
