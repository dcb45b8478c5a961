import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A network between client and server that fails as it is told to. */
export class TcpProxy {
  /** Where new connections lead. */
  target: number;
  port = 0;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #isFrozen = false;

  private constructor(target: number) {
    this.target = target;
  }

  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    const server = createServer((near) => proxy.#join(near)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy.port = (server.address() as AddressInfo).port;
    onTestFinished(() => {
      server.close();
      proxy.cut();
    });
    return proxy;
  }

  /** Ends all connections. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** No byte passes any more, on connections that come as well; nobody is told. */
  freeze(): void {
    this.#isFrozen = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** Connections that were frozen stay so: what was lost on the way does not come back. */
  thaw(): void {
    this.#isFrozen = false;
  }

  /** Keeps what the server says, until `release`. */
  hold(): void {
    for (const [, far] of this.#pairs) far.pause();
  }

  release(): void {
    for (const [, far] of this.#pairs) far.resume();
  }

  /** Resolves when a client sends something. */
  clientSends(): Promise<unknown> {
    return Promise.race([...this.#pairs].map(([near]) => once(near, 'data')));
  }

  #join(near: Socket): void {
    const far = connect(this.target, '127.0.0.1');
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('error', () => {});
      one.on('close', () => {
        this.#pairs.delete(pair);
        // One that is frozen learns nothing.
        if (!other.isPaused()) other.destroy();
      });
      one.on('data', (chunk) => {
        other.write(chunk);
      });
      one.on('end', () => other.end());
      if (this.#isFrozen) one.pause();
    }
  }
}
