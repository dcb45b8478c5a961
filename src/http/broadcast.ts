import type { IncomingMessage } from 'node:http';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import {
  type Broker,
  BrokerFull,
  BrokerUnavailable,
  type Published,
  type PublishedBatch,
} from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import type { Parsed } from '../protocol/json.ts';
import { parseBroadcastBody } from '../protocol/messages.ts';
import {
  type Publication,
  type PublicationBatch,
  parsePublishing,
} from '../protocol/publishing.ts';
import { type Log, rateLimited } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { BodyReader, BodyReceiver } from './body/body-reader.ts';
import { addressOf } from './client-address.ts';
import { HttpError } from './http-error.ts';
import { json, type Reply } from './reply.ts';
import type { Handler, Respond } from './router.ts';

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
  const refusals = new RefusalLog(context.log, context.config.trustedProxies);
  return (request, respond) => {
    context.bodies.read(request, new BroadcastRequest(context, refusals, request, respond));
  };
}

/**
 * One request: `receive` parses and publishes, `#confirm` answers, `fail` answers what went wrong in any step.
 * One object with methods, because a closure for each step would cost more per broadcast.
 */
class BroadcastRequest implements BodyReceiver {
  readonly #context: BroadcastContext;
  readonly #refusals: RefusalLog;
  readonly #request: IncomingMessage;
  readonly #respond: Respond;
  #startMs = 0;

  constructor(
    context: BroadcastContext,
    refusals: RefusalLog,
    request: IncomingMessage,
    respond: Respond,
  ) {
    this.#context = context;
    this.#refusals = refusals;
    this.#request = request;
    this.#respond = respond;
  }

  /** What this throws goes to `fail`. */
  receive(body: string): void {
    this.#startMs = performance.now();
    const request = this.#parse(body);
    if ('publications' in request) this.#publishBatch(request);
    else this.#publish(request);
  }

  fail(error: Error): void {
    const isRefusal = error instanceof HttpError;
    if (isRefusal) this.#refusals.add(error, this.#request);
    this.#context.metrics?.broadcast(isRefusal ? 'refused' : 'failed');
    this.#respond(explain(error));
  }

  #parse(body: string): Publication | PublicationBatch {
    const { tokens, config } = this.#context;
    const token = accept(parseBroadcastBody(body));
    const signed = accept(tokens.verify(token));
    return accept(parsePublishing(signed, config.maxChannelLength));
  }

  #publish(publication: Publication): void {
    const published = this.#context.broker.publish(publication);
    if (published instanceof Promise) {
      published.then(
        (later) => this.#confirm(publication, later),
        (error) => this.fail(error),
      );
    } else {
      this.#confirm(publication, published);
    }
  }

  #confirm(publication: Publication, published: Published): void {
    // The outbox writes at the end of this event-loop turn. Answered afterwards, the publisher does not wake up, and
    // take the CPU, before the message is on its way.
    if (published.deliveries > 0) setImmediate(() => this.#succeed(publication, published));
    else this.#succeed(publication, published);
  }

  #succeed({ channel }: Publication, published: Published): void {
    const { log, metrics } = this.#context;
    log.debug({ channel, deliveries: published.deliveries }, 'broadcast');
    this.#respond(successReply(published));
    metrics?.broadcast('success', this.#startMs);
  }

  #publishBatch(batch: PublicationBatch): void {
    this.#context.broker.publishBatch(batch).then(
      // Answered after the outbox has written, as a single broadcast is.
      (published) => setImmediate(() => this.#succeedBatch(batch, published)),
      (error) => this.fail(error),
    );
  }

  #succeedBatch({ publications }: PublicationBatch, published: PublishedBatch): void {
    const { log, metrics } = this.#context;
    const deliveries = published.results.reduce((sum, each) => sum + each, 0);
    const { isDuplicate } = published;
    log.debug({ pairs: publications.length, deliveries, isDuplicate }, 'batch');
    this.#respond(batchReply(deliveries, published));
    metrics?.broadcast('success', this.#startMs);
    if (isDuplicate) metrics?.duplicate();
  }
}

function successReply({ deliveries, isPartial }: Published): Reply {
  const partial = isPartial ? ',"partial":true' : '';
  return json(`{"message":"Success","deliveries":${deliveries}${partial}}`);
}

function batchReply(
  deliveries: number,
  { results, position, isPartial, isDuplicate }: PublishedBatch,
): Reply {
  const list = results.map((each) => `{"deliveries":${each}}`).join(',');
  const reached = position === undefined ? '' : `,"position":"${position}"`;
  const partial = isPartial ? ',"partial":true' : '';
  const duplicate = isDuplicate ? ',"duplicate":true' : '';
  return json(
    `{"message":"Success","deliveries":${deliveries},"results":[${list}]${reached}${partial}${duplicate}}`,
  );
}

function accept<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new HttpError(400, parsed.reason);
  return parsed.value;
}

/** What was not published is answered 503, so that the app server tries again; 200 would lose the message for good. */
function explain(error: Error): Error {
  const retry = { 'Retry-After': '1' };
  if (error instanceof BrokerUnavailable) return new HttpError(503, 'Broker unavailable', retry);
  if (error instanceof BrokerFull) return new HttpError(503, 'Too many requests', retry);
  return error;
}

/** Logs who was refused and why: at most one line in ten seconds, with the number of refusals left out before it. */
class RefusalLog {
  #refusedSinceLine = 0;
  readonly #writeLine: (error: HttpError, request: IncomingMessage) => void;

  constructor(log: Log, trustedProxies: number) {
    this.#writeLine = rateLimited(REFUSAL_LOG_INTERVAL_MS, ({ status, message }, request) => {
      const address = addressOf(request, trustedProxies);
      const leftOut = this.#refusedSinceLine - 1;
      this.#refusedSinceLine = 0;
      log.warn({ status, error: message, address, leftOut }, 'broadcast refused');
    });
  }

  add(error: HttpError, request: IncomingMessage): void {
    this.#refusedSinceLine += 1;
    this.#writeLine(error, request);
  }
}
