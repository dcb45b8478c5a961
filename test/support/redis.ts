import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { endChild } from './child-cleanup.ts';

/** A real `redis-server` that keeps nothing on disk. It can be killed and started again on the same port. */
export class RedisServer {
  readonly port: number;
  readonly #args: readonly string[];
  readonly #launcher: readonly string[];
  /** For what Redis insists on writing, and so that it finds no configuration of this machine. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'bifrost-redis-'));
  readonly #killAtExit = () => this.close();
  #child: ChildProcess | undefined;

  /**
   * `args` are further settings, as on the command line of `redis-server`. `launcher` is a command that runs the command
   * behind it, such as `taskset -c 1`.
   */
  constructor(port: number, args: readonly string[] = [], launcher: readonly string[] = []) {
    this.port = port;
    this.#args = args;
    this.#launcher = launcher;
    // Whatever becomes of this process, no server stays behind.
    process.once('exit', this.#killAtExit);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<this> {
    const [command = '', ...args] = [
      ...[...this.#launcher, 'redis-server'],
      ...['--bind', '127.0.0.1', '--port', String(this.port), '--dir', this.#folder],
      ...['--save', '', '--appendonly', 'no', ...this.#args],
    ];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
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

  /** Resolves when it has ended. */
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, signal);
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
