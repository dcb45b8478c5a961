import type { Broker } from '../broker/broker.ts';
import { json } from './reply.ts';
import type { Handler } from './router.ts';

/** `GET /info.json`: messages and confirmations handed to sockets so far, and subscriptions held now, on all nodes. */
export function infoHandler(broker: Broker): Handler {
  return async () => {
    const { deliveries, subscriptions } = await broker.stats();
    return json(`{"stats":{"deliveries":${deliveries},"connected":${subscriptions}}}`);
  };
}
