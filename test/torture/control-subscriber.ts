import { once } from 'node:events';
import { WebSocket } from 'ws';
import { sign } from '../support/tokens.ts';
import type { ControlDeliveries } from './control-deliveries.ts';

/** A well-behaved websocket client that notes what it receives. */
export class ControlSubscriber {
  readonly channels: readonly string[];
  readonly #deliveries: ControlDeliveries;
  readonly #socket: WebSocket;
  readonly #seen = new Set<number>();
  #lastSequence = 0;
  #isClosing = false;

  constructor(port: number, channels: readonly string[], deliveries: ControlDeliveries) {
    this.channels = channels;
    this.#deliveries = deliveries;
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/subscribe`);
    this.#socket.on('error', (error) =>
      deliveries.addFault(`control subscriber: ${error.message}`),
    );
    this.#socket.on('close', (code, reason) => {
      if (!this.#isClosing) deliveries.addFault(`control subscriber closed: ${code} ${reason}`);
    });
  }

  /** Resolves when all channels are confirmed. */
  async subscribe(): Promise<void> {
    await once(this.#socket, 'open');
    const token = sign({ channels: this.channels });
    this.#socket.send(JSON.stringify({ event: 'authenticate', data: token }));
    let confirmations = 0;
    await new Promise<void>((resolve) => {
      const confirm = () => {
        confirmations += 1;
        if (confirmations < this.channels.length) return;
        this.#socket.off('message', confirm);
        this.#socket.on('message', (data) => this.#receive(data.toString()));
        resolve();
      };
      this.#socket.on('message', confirm);
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#socket.close(1000);
    if (this.#socket.readyState !== WebSocket.CLOSED) await once(this.#socket, 'close');
  }

  #receive(text: string): void {
    const sequence = Number(/^\{"sequence":(\d+)/.exec(text)?.[1]);
    if (this.#seen.has(sequence)) {
      this.#deliveries.addDouble();
      return;
    }
    this.#seen.add(sequence);
    this.#deliveries.addDelivery(sequence, text, sequence < this.#lastSequence);
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
  }
}
