import type { IncomingMessage, RequestListener } from 'node:http';
import type { Log } from '../telemetry/log.ts';
import { HttpError } from './http-error.ts';
import { type Reply, sendReply } from './reply.ts';
import { checkHost, pathOf } from './request.ts';
import { admitRequest } from './unanswered-requests.ts';

/** Takes the reply to a request, or the error that kept it from being made. */
export type Respond = (answer: Reply | Error) => void;

/**
 * Handles one request. Calls `respond` exactly once, now or later; or throws, at once, what it would respond with.
 * An `HttpError` is answered as it says, any other error is logged and answered with 500.
 *
 * A callback and not a promise, because a promise costs more than handing a message to one socket. A handler that has
 * a promise passes it on: `promise.then(respond, respond)`. The type is `undefined` and not `void` so that an async
 * function does not compile: nobody would see it reject.
 */
export type Handler = (request: IncomingMessage, respond: Respond) => undefined;

/** Path → method → handler. */
type RouteTable = ReadonlyMap<string, ReadonlyMap<string, Handler>>;

/**
 * Makes the request listener of a table `'METHOD /path'` → handler. HEAD is answered as GET without a body,
 * an unknown path with 404, a known path under another method with 405.
 */
export function createRouter(routes: Readonly<Record<string, Handler>>, log: Log): RequestListener {
  const table = createTable(routes);
  return (request, response) => {
    // Without listeners a reset connection would end the process.
    request.on('error', ignore);
    response.on('error', ignore);
    if (!admitRequest(request, response)) return;

    const respond: Respond = (answer) => sendReply(request, response, toReply(answer, log));
    try {
      checkHost(request);
      const handle = findHandler(table, request);
      handle(request, respond);
    } catch (error) {
      respond(error as Error);
    }
  };
}

function createTable(routes: Readonly<Record<string, Handler>>): RouteTable {
  const table = new Map<string, Map<string, Handler>>();
  for (const [route, handler] of Object.entries(routes)) {
    const [method = '', path = ''] = route.split(' ');
    const handlers = table.get(path) ?? new Map<string, Handler>();
    handlers.set(method, handler);
    if (method === 'GET') handlers.set('HEAD', handler);
    table.set(path, handlers);
  }
  return table;
}

function findHandler(table: RouteTable, request: IncomingMessage): Handler {
  const handlers = table.get(pathOf(request));
  if (handlers === undefined) throw new HttpError(404, 'Not found');

  const handler = handlers.get(request.method ?? '');
  if (handler === undefined) {
    throw new HttpError(405, 'Method not allowed', { Allow: [...handlers.keys()].join(', ') });
  }
  return handler;
}

/** The text of an unexpected error stays in the log: it could tell a stranger about the inside of the server. */
function toReply(answer: Reply | Error, log: Log): Reply {
  if (!(answer instanceof Error)) return answer;
  if (answer instanceof HttpError) return answer.toReply();
  log.error({ err: answer }, 'request failed with an unexpected error, answered 500');
  return new HttpError(500, 'Internal server error').toReply();
}

function ignore(): void {}
