import type { IncomingMessage, RequestListener } from 'node:http';
import { ClientGone, HttpError, type Reply, sendReply } from './http.ts';
import type { Log } from './log.ts';

/** Answers one request, or throws an `HttpError` for the router to write. */
export type Handler = (request: IncomingMessage) => Reply | Promise<Reply>;

/** The path of a request without query string and without one trailing slash. */
export function pathOf(request: IncomingMessage): string {
  // The absolute form of a request target must be accepted too (RFC 9112 §3.2.2).
  const target = (request.url ?? '').replace(/^https?:\/\/[^/?#]*/i, '');
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path || '/';
}

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

/** RFC 9112 §3.2. Checked here because Node's own refusal has no body. */
function checkHost(request: IncomingMessage): void {
  if (request.headers.host === undefined && request.httpVersion === '1.1') {
    throw new HttpError(400, 'Host header is required', { Connection: 'close' });
  }
}

function ignore(): void {}
