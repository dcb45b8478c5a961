import { json } from './http.ts';
import type { Hub } from './hub.ts';
import type { Handler } from './router.ts';

/** `GET /info.json`: messages and confirmations handed to sockets so far, and subscriptions held now. */
export function infoHandler(hub: Hub): Handler {
  return () => json(`{"stats":{"deliveries":${hub.deliveries},"connected":${hub.subscriptions}}}`);
}
