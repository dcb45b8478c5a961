import type { Hub } from './hub.ts';
import type { Broadcast } from './protocol.ts';

/** Carries a broadcast to every subscriber, wherever it is connected. */
export interface Broker {
  /** Resolves to the number of sockets that the message was handed to. */
  publish(broadcast: Broadcast): Promise<number>;
}

/** The broker of a single process: its own hub has all the subscribers there are. */
export class LocalBroker implements Broker {
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  async publish({ channel, message }: Broadcast): Promise<number> {
    return this.#hub.publish(channel, message);
  }
}
