import { connectClient, type TestClient } from './client.ts';
import { sign } from './tokens.ts';

/** What a confirmation says. */
export interface Confirmation {
  readonly channel: string;
  readonly recovered?: boolean;
  readonly missed?: number;
  readonly position?: string;
}

/** A broadcast as positioned clients receive it. */
export interface Envelope<T> {
  readonly channel: string;
  readonly position?: string;
  readonly data: T;
}

/** A client that asks for positions: on the channels of one token, from now on (null) or from a position. */
export class PositionedClient {
  readonly client: TestClient;
  readonly #channels: readonly string[];

  constructor(client: TestClient, channels: readonly string[], since: string | null) {
    this.client = client.send({ event: 'authenticate', data: sign({ channels }), since });
    this.#channels = channels;
  }

  static async connect(
    port: number,
    channels: readonly string[],
    since: string | null,
  ): Promise<PositionedClient> {
    const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
    return new PositionedClient(client, channels, since);
  }

  /** The confirmations of its token, one for each channel. */
  async confirmed(): Promise<Confirmation[]> {
    const confirmations: Confirmation[] = [];
    for (const _ of this.#channels) {
      const { event, data } = JSON.parse(await this.client.nextText());
      if (event !== 'subscribed') throw new Error(`expected a confirmation, got ${event}`);
      confirmations.push(JSON.parse(data));
    }
    return confirmations;
  }

  /** The position that the last confirmation has. */
  async began(): Promise<string> {
    const position = (await this.confirmed()).at(-1)?.position;
    if (position === undefined) throw new Error('the last confirmation has no position');
    return position;
  }

  async next<T>(): Promise<Envelope<T>> {
    const { event, ...rest } = JSON.parse(await this.client.nextText());
    if (event !== 'message') throw new Error(`expected a message, got ${event}`);
    return rest;
  }

  /** The position in the answer to a ping, which must be the next frame; undefined when it has none. */
  async ping(): Promise<string | undefined> {
    const { event, data } = JSON.parse(await this.client.send({ event: 'ping' }).nextText());
    if (event !== 'pong') throw new Error(`expected a pong, got ${event}`);
    return data === undefined ? undefined : JSON.parse(data).position;
  }

  /** Cuts the connection without a goodbye. */
  cut(): void {
    this.client.socket.terminate();
  }
}
