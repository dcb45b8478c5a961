import { expect } from 'vitest';
import type { TestClient } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

/** What a confirmation says of its channel. */
export type Confirmation = 'new' | 'lost' | number;

/** A client that keeps its position and comes back with it, as the contract says. */
export class PositionedClient {
  readonly #channels: readonly string[];
  #client: TestClient | undefined;
  /** The position that came last, whatever brought it. */
  position: string | null = null;

  constructor(...channels: string[]) {
    this.#channels = channels;
  }

  get client(): TestClient {
    if (this.#client === undefined) throw new Error('has not connected yet');
    return this.#client;
  }

  /** Connects, also for the second time, and resolves to what was confirmed for each channel. */
  async connect(node: TestServer): Promise<readonly Confirmation[]> {
    await this.ask(node);
    const confirmations: Confirmation[] = [];
    for (const channel of this.#channels) {
      const { event, data } = JSON.parse(await this.client.nextText());
      expect(event).toBe('subscribed');
      const details = JSON.parse(data);
      expect(details.channel).toBe(channel);
      this.position = details.position ?? this.position;
      const { recovered, missed } = details;
      confirmations.push(recovered === undefined ? 'new' : recovered ? missed : 'lost');
    }
    return confirmations;
  }

  /** Connects and authenticates, whatever may come of it. */
  async ask(node: TestServer): Promise<TestClient> {
    this.#client = await node.connect();
    const data = sign({ channels: this.#channels });
    return this.#client.send({ event: 'authenticate', data, since: this.position });
  }

  /** The message of the next frame, which must be a broadcast. */
  async next(): Promise<unknown> {
    const { event, position, data } = JSON.parse(await this.client.nextText());
    expect(event).toBe('message');
    this.position = position ?? this.position;
    return data;
  }

  /** So many messages. */
  async nextMany(count: number): Promise<unknown[]> {
    const messages = [];
    for (let n = 0; n < count; n += 1) messages.push(await this.next());
    return messages;
  }

  /** Resolves to the position in the answer to a ping, which must be the next frame. */
  async pong(): Promise<string | undefined> {
    const { event, data } = JSON.parse(await this.client.send({ event: 'ping' }).nextText());
    expect(event).toBe('pong');
    const position = data === undefined ? undefined : JSON.parse(data).position;
    this.position = position ?? this.position;
    return position;
  }

  /** Cuts the connection. */
  async cut(): Promise<void> {
    this.client.socket.terminate();
    await this.client.closed;
  }
}
