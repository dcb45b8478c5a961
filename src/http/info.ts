import type { Broker, Stats } from '../broker/broker.ts';
import { json, type Reply } from './reply.ts';
import type { Handler } from './router.ts';

/** `GET /info.json`: messages and confirmations handed to sockets so far, and subscriptions held now, on all nodes. */
export function infoHandler(broker: Broker): Handler {
  return (_request, respond) => {
    broker.stats().then(encodeStats).then(respond, respond);
  };
}

function encodeStats({ deliveries, subscriptions }: Stats): Reply {
  return json(`{"stats":{"deliveries":${deliveries},"connected":${subscriptions}}}`);
}
