import type { IncomingMessage } from 'node:http';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import { type Broker, BrokerUnavailable, type Published } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import { type Broadcast, parseBroadcast } from '../protocol/claims.ts';
import type { Parsed } from '../protocol/json.ts';
import { parseBroadcastBody } from '../protocol/messages.ts';
import { type Log, rateLimited } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { BodyReader } from './body.ts';
import { addressOf } from './client-address.ts';
import { HttpError } from './http-error.ts';
import { json } from './reply.ts';
import type { Handler } from './router.ts';

/** What `POST /broadcast` works with. */
export interface BroadcastContext {
  readonly config: Config;
  readonly bodies: BodyReader;
  readonly tokens: TokenVerifier;
  readonly broker: Broker;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
}

const REFUSAL_LOG_INTERVAL_MS = 10_000;

/** `POST /broadcast`: publishes the message of a signed token and answers how many sockets it was handed to. */
export function broadcastHandler(context: BroadcastContext): Handler {
  const { config, bodies, tokens, broker, log, metrics } = context;
  const logRefusal = refusalLog(log, config.trustedProxies);

  const parse = (body: string): Broadcast => {
    const token = accept(parseBroadcastBody(body));
    const signed = accept(tokens.verify(token));
    return accept(parseBroadcast(signed, config.maxChannelLength));
  };

  return (request, respond) => {
    const fail = (error: Error) => {
      const isRefusal = error instanceof HttpError;
      if (isRefusal) logRefusal(error, request);
      metrics?.broadcast(isRefusal ? 'refused' : 'failed');
      respond(explain(error));
    };
    const publish = (body: string) => {
      const startMs = performance.now();
      const broadcast = parse(body);
      const succeed = ({ deliveries, isPartial }: Published) => {
        log.debug({ channel: broadcast.channel, deliveries }, 'broadcast');
        respond(
          json(
            `{"message":"Success","deliveries":${deliveries}${isPartial ? ',"partial":true' : ''}}`,
          ),
        );
        metrics?.broadcast('success', startMs);
      };
      const answer = (published: Published) => {
        // The outbox writes at the end of the turn: the message is on its way before its publisher is woken up.
        if (published.deliveries > 0) setImmediate(succeed, published);
        else succeed(published);
      };
      const published = broker.publish(broadcast);
      if (published instanceof Promise) published.then(answer, fail);
      else answer(published);
    };
    bodies.read(request, publish, fail);
  };
}

/** Logs refusals with who was refused, one in a while; each line says how many were left out since the last. */
function refusalLog(log: Log, trustedProxies: number) {
  let refused = 0;
  const logOne = rateLimited(
    REFUSAL_LOG_INTERVAL_MS,
    ({ status, message }: HttpError, request: IncomingMessage) => {
      const address = addressOf(request, trustedProxies);
      const leftOut = refused - 1;
      log.warn({ status, error: message, address, leftOut }, 'a broadcast was refused');
      refused = 0;
    },
  );
  return (error: HttpError, request: IncomingMessage) => {
    refused += 1;
    logOne(error, request);
  };
}

function accept<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new HttpError(400, parsed.reason);
  return parsed.value;
}

/** The app server is to try again; a success that is none would lose the message for good. */
function explain(error: Error): Error {
  if (!(error instanceof BrokerUnavailable)) return error;
  return new HttpError(503, 'Broker unavailable', { 'Retry-After': '1' });
}
