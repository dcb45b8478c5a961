import { createServer, connect as openConnection, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';

/** A way to Redis that can hold back what Redis says: distance, made to order. */
export class SlowLink {
  readonly port: number;
  #target: number;
  #holdFrom: string | undefined;
  readonly #held: { socket: Socket; bytes: Buffer }[] = [];
  #wake: (() => void) | undefined;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  static async to(redisPort: number): Promise<SlowLink> {
    const link = new SlowLink(await freePort(), redisPort);
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = openConnection(link.#target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(one);
        one.on('error', () => {}).on('close', () => other.destroy());
      }
      near.on('data', (chunk: Buffer) => far.write(chunk));
      far.on('data', (chunk: Buffer) => link.#carry(near, chunk));
    });
    await new Promise<void>((resolve) => server.listen(link.port, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return link;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Leads to another Redis from now on: connections that are open stay where they are. */
  leadTo(redisPort: number): void {
    this.#target = redisPort;
  }

  /** Holds back the first reply that has this text, and all that follows it. */
  holdFrom(text: string): void {
    this.#holdFrom = text;
  }

  /** Resolves once something is held back. */
  async holds(): Promise<void> {
    while (this.#held.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  release(): void {
    this.#holdFrom = undefined;
    for (const { socket, bytes } of this.#held.splice(0)) socket.write(bytes);
  }

  /** Loses what is held back. */
  drop(): void {
    this.#holdFrom = undefined;
    this.#held.length = 0;
  }

  #carry(socket: Socket, chunk: Buffer): void {
    if (this.#holdFrom === undefined) {
      socket.write(chunk);
      return;
    }
    const isHeld = this.#held.some((held) => held.socket === socket);
    // A push begins with its size, three parts, and the length of its first one.
    const word = isHeld ? 0 : chunk.indexOf(this.#holdFrom);
    const from = isHeld || word === -1 ? word : chunk.lastIndexOf('>', word);
    if (from !== 0) socket.write(from === -1 ? chunk : chunk.subarray(0, from));
    if (from === -1) return;
    this.#held.push({ socket, bytes: chunk.subarray(from) });
    this.#wake?.();
  }
}
