import type { IncomingMessage, RequestListener } from 'node:http';
import type { Log } from '../telemetry/log.ts';
import { HttpError } from './http-error.ts';
import type { Reply } from './reply.ts';
import { checkHost, pathOf } from './request.ts';
import { sendReply } from './send-reply.ts';
import { noteRequest } from './unanswered-requests.ts';

/** Takes the answer to a request, once: an `HttpError` is written as it says, any other error logged and a 500. */
type Respond = (answer: Reply | Error) => void;

/**
 * Answers one request, or throws an error that `respond` would take. One that cannot answer at once returns a promise,
 * or nothing and gives its answer to `respond`, which costs less.
 */
export type Handler = (
  request: IncomingMessage,
  respond: Respond,
) => Reply | Promise<Reply> | undefined;

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

  const toReply = (answer: Reply | Error): Reply => {
    if (!(answer instanceof Error)) return answer;
    if (answer instanceof HttpError) return answer.toReply();
    log.error({ err: answer }, 'a request failed');
    // What went wrong inside is nobody's business outside.
    return new HttpError(500, 'Internal server error').toReply();
  };

  return (request, response) => {
    // Without listeners a reset connection would end the process.
    request.on('error', ignore);
    response.on('error', ignore);
    if (!noteRequest(request, response)) return;

    const respond: Respond = (answer) => sendReply(request, response, toReply(answer));
    try {
      checkHost(request);
      const answer = find(request)(request, respond);
      if (answer instanceof Promise) answer.then(respond, respond);
      else if (answer !== undefined) respond(answer);
    } catch (error) {
      respond(error as Error);
    }
  };
}

function ignore(): void {}
