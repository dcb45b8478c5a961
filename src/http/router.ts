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

/** What a server answers. */
export interface Routes {
  /** By method and path: `'GET /info.json'`. */
  readonly handlers: Readonly<Record<string, Handler>>;
  /**
   * By path: whether it is hidden from a request, which is then answered like one to an unknown path, whatever its
   * method. A path that is not among them is hidden from nobody.
   */
  readonly hidden?: Readonly<Record<string, (request: IncomingMessage) => boolean>>;
}

interface Path {
  readonly handlers: Map<string, Handler>;
  readonly isHidden: ((request: IncomingMessage) => boolean) | undefined;
}

type RouteTable = ReadonlyMap<string, Path>;

/**
 * Makes the request listener of these routes. HEAD is answered as GET without a body, an unknown path with 404, a known
 * path under another method with 405.
 */
export function createRouter(routes: Routes, log: Log): RequestListener {
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

function createTable({ handlers, hidden = {} }: Routes): RouteTable {
  const table = new Map<string, Path>();
  for (const [route, handler] of Object.entries(handlers)) {
    const [method = '', name = ''] = route.split(' ');
    const path = table.get(name) ?? { handlers: new Map(), isHidden: hidden[name] };
    path.handlers.set(method, handler);
    if (method === 'GET') path.handlers.set('HEAD', handler);
    table.set(name, path);
  }
  return table;
}

function findHandler(table: RouteTable, request: IncomingMessage): Handler {
  const path = table.get(pathOf(request));
  if (path === undefined || path.isHidden?.(request)) throw new HttpError(404, 'Not found');

  const handler = path.handlers.get(request.method ?? '');
  if (handler === undefined) {
    throw new HttpError(405, 'Method not allowed', { Allow: [...path.handlers.keys()].join(', ') });
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
