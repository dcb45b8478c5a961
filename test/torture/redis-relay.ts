import { createServer, connect as openConnection, type Server, type Socket } from 'node:net';

/** The address of a Redis that may be moved to another one, as a failover moves it. */
export class RedisRelay {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: number;

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.url = `redis://127.0.0.1:${port}`;
    this.#target = target;
    server.on('connection', (near) => this.#relay(near));
  }

  /** `target` is the port of the Redis. */
  static async listen(port: number, target: number): Promise<RedisRelay> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    return new RedisRelay(server, port, target);
  }

  /** From now on new connections lead to this port. Those that are open stay where they are. */
  leadTo(target: number): void {
    this.#target = target;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(near: Socket): void {
    const far = openConnection(this.#target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.setNoDelay().pipe(other);
      one
        .on('error', () => {})
        .on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
    }
  }
}
