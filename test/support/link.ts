import { createServer, connect as openConnection, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';

/** A way to a server that the test can cut. */
export class Link {
  readonly port: number;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(port: number) {
    this.port = port;
  }

  static async to(serverPort: number): Promise<Link> {
    const link = new Link(await freePort());
    const server = createServer((near) => link.#join(near, serverPort));
    await new Promise<void>((resolve) => server.listen(link.port, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.close();
      link.cut();
    });
    return link;
  }

  /** Ends all connections without a goodbye, and every new one until `mend`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  #join(near: Socket, serverPort: number): void {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = openConnection(serverPort, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.on('data', (chunk) => other.write(chunk));
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}
