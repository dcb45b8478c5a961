import { endChild } from '../test/support/child-cleanup.ts';
import { freePort } from '../test/support/free-port.ts';
import type { ServerProcess } from '../test/support/server-process.ts';
import { type ServerSetup, startServer } from './testbed.ts';

/** A server that can be replaced by a new process on the same port, as a deploy does. */
export class ReplaceableServer {
  readonly port: number;
  readonly #setup: ServerSetup;
  #process: ServerProcess;

  private constructor(setup: ServerSetup, port: number) {
    this.#setup = setup;
    this.port = port;
    this.#process = startServer(setup, port);
  }

  /** Resolves when it is ready. */
  static async start(setup: ServerSetup): Promise<ReplaceableServer> {
    const server = new ReplaceableServer(setup, await freePort());
    await server.#untilReady();
    return server;
  }

  /** The process that runs now. */
  get process(): ServerProcess {
    return this.#process;
  }

  /** Stops the process in an orderly way and starts another one. Resolves when that is ready. */
  async replace(): Promise<void> {
    const { child } = this.#process;
    await endChild(child, 'SIGTERM');
    if (child.exitCode !== 0) {
      throw this.#fault(`The server did not stop in an orderly way: ${child.exitCode}`);
    }
    this.#process = startServer(this.#setup, this.port);
    await this.#untilReady();
  }

  async kill(): Promise<void> {
    await endChild(this.#process.child, 'SIGKILL');
  }

  async #untilReady(): Promise<void> {
    try {
      await this.#process.untilReady(this.port);
    } catch (error) {
      await this.kill();
      throw this.#fault((error as Error).message);
    }
  }

  #fault(message: string): Error {
    return new Error(`${this.#setup.title}: ${message}\n${this.#process.stderr}`);
  }
}
