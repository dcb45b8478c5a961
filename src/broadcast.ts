import type { Broker } from './broker.ts';
import { HttpError, json, readBody } from './http.ts';
import { type Parsed, parseBroadcast, parseBroadcastBody } from './protocol.ts';
import type { Handler } from './router.ts';
import type { TokenVerifier } from './token.ts';

export interface BroadcastLimits {
  readonly maxBodyBytes: number;
  /** In UTF-16 units. */
  readonly maxChannelLength: number;
}

/** `POST /broadcast`: publishes the message of a signed token and answers how many sockets it was handed to. */
export function broadcastHandler(
  tokens: TokenVerifier,
  broker: Broker,
  limits: BroadcastLimits,
): Handler {
  return async (request) => {
    const body = await readBody(request, limits.maxBodyBytes);
    const token = accept(parseBroadcastBody(body));
    const signed = accept(tokens.verify(token));
    const broadcast = accept(parseBroadcast(signed, limits.maxChannelLength));
    const deliveries = await broker.publish(broadcast);
    return json(`{"message":"Success","deliveries":${deliveries}}`);
  };
}

function accept<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new HttpError(400, parsed.reason);
  return parsed.value;
}
