// The subscriber process acknowledges to the publisher process each broadcast that every subscriber has: with one byte
// over loopback TCP. Both are processes of their own, so that neither slows the other.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

const ACK = Buffer.alloc(1);

/** The publisher's end. */
export class DeliveryAckReceiver {
  #count = 0;
  readonly #waiting = new Map<number, () => void>();
  readonly #server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (bytes: Buffer) => this.#add(bytes.length));
  });

  /** Resolves to the port for `connectAckSender`. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when `count` broadcasts have been acknowledged since the start. Only one caller may wait for each count. */
  async received(count: number): Promise<void> {
    if (this.#count >= count) return;
    await new Promise<void>((resolve) => this.#waiting.set(count, resolve));
  }

  #add(acks: number): void {
    for (let i = 0; i < acks; i++) {
      this.#count++;
      this.#waiting.get(this.#count)?.();
      this.#waiting.delete(this.#count);
    }
  }
}

/** The subscribers' end. Resolves to a function that acknowledges one more broadcast. */
export async function connectAckSender(port: number): Promise<() => void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return () => {
    socket.write(ACK);
  };
}
