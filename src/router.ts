import type { IncomingMessage, RequestListener } from 'node:http';
import {
  ClientGone,
  checkHost,
  HttpError,
  noteRequest,
  pathOf,
  type Reply,
  sendReply,
} from './http.ts';
import type { Log } from './log.ts';

/** Answers one request, or throws an `HttpError` for the router to write. */
export type Handler = (request: IncomingMessage) => Reply | Promise<Reply>;

/**
 * Makes the request listener of a table `'METHOD /path'` → handler. HEAD is answered as GET without a body,
 * an unknown path with 404, a known path under another method with 405.
 */
export function createRouter(routes: Readonly<Record<string, Handler>>, log: Log): RequestListener {
  const handlersByPath = new Map<string, Map<string, Handler>>();
  for (const [route, handler] of Object.entries(routes)) {
    const [method = '', path = ''] = route.split(' ');
    const handlers = handlersByPath.get(path) ?? new Map<string, Handler>();
    handlers.set(method, handler);
    if (method === 'GET') handlers.set('HEAD', handler);
    handlersByPath.set(path, handlers);
  }

  const find = (request: IncomingMessage): Handler => {
    const handlers = handlersByPath.get(pathOf(request));
    if (handlers === undefined) throw new HttpError(404, 'Not found');

    const handler = handlers.get(request.method ?? '');
    if (handler === undefined) {
      throw new HttpError(405, 'Method not allowed', { Allow: [...handlers.keys()].join(', ') });
    }
    return handler;
  };

  return async (request, response) => {
    // Without listeners a reset connection would end the process.
    noteRequest(request, response);
    request.on('error', ignore);
    response.on('error', ignore);
    try {
      checkHost(request);
      sendReply(request, response, await find(request)(request));
    } catch (error) {
      if (error instanceof ClientGone) return;
      if (error instanceof HttpError) {
        sendReply(request, response, error.toReply());
        return;
      }
      log.error({ err: error }, 'a request failed');
      // What went wrong inside is nobody's business outside.
      sendReply(request, response, new HttpError(500, 'Internal server error').toReply());
    }
  };
}

function ignore(): void {}
