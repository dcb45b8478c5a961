// The subscribers' process tells the publisher's of each broadcast that has reached everyone: a byte each, over loopback.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

const ARRIVAL = Buffer.alloc(1);

/** The publisher's end. */
export class Arrivals {
  #count = 0;
  readonly #waiting = new Map<number, () => void>();
  readonly #server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (bytes: Buffer) => this.#add(bytes.length));
  });

  /** Resolves to the port for `announceArrivals`. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when the `count`-th broadcast of all has arrived. Only one may wait for each. */
  async reached(count: number): Promise<void> {
    if (this.#count < count)
      await new Promise<void>((resolve) => this.#waiting.set(count, resolve));
  }

  #add(arrivals: number): void {
    for (let i = 0; i < arrivals; i++) {
      this.#count++;
      this.#waiting.get(this.#count)?.();
      this.#waiting.delete(this.#count);
    }
  }
}

/** The subscribers' end: resolves to a function that tells of one more arrival. */
export async function announceArrivals(port: number): Promise<() => void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return () => {
    socket.write(ARRIVAL);
  };
}
