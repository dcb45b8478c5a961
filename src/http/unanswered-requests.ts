import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Unanswered requests that a connection may have. One read of the socket can bring thousands of small ones. */
const MAX_UNANSWERED = 100;

interface Unanswered {
  /** The response that is written last. */
  newest: ServerResponse | undefined;
  count: number;
}

/** The requests of each socket whose responses have not been finished. */
const unanswered = new WeakMap<Duplex, Unanswered>();

/**
 * Counts a request; to be called for every one. False if it must not be handled: its connection has ended, or has too
 * many unanswered requests and is ended here. Node still reads the requests that such a connection had sent.
 */
export function admitRequest(request: IncomingMessage, response: ServerResponse): boolean {
  const { socket } = request;
  if (socket.destroyed) return false;
  let onSocket = unanswered.get(socket);
  if (onSocket === undefined) {
    onSocket = { newest: undefined, count: 0 };
    unanswered.set(socket, onSocket);
  }
  onSocket.newest = response;
  onSocket.count += 1;
  response.on('close', forgetResponse);
  if (onSocket.count <= MAX_UNANSWERED) return true;
  socket.destroy();
  return false;
}

/** An idle keep-alive connection must not hold its last response in memory, and with it the request. */
function forgetResponse(this: ServerResponse): void {
  const onSocket = unanswered.get(this.req.socket);
  if (onSocket === undefined) return;
  onSocket.count -= 1;
  if (onSocket.newest === this) onSocket.newest = undefined;
}

/** The last response on this socket that has not been finished. */
export function pendingResponse(socket: Duplex): ServerResponse | undefined {
  const response = unanswered.get(socket)?.newest;
  return response?.writableFinished ? undefined : response;
}

/** Calls `next` once all requests on this socket have been answered; never if the connection ends first. */
export function afterAnswers(socket: Duplex, next: () => void): void {
  const pending = pendingResponse(socket);
  if (pending === undefined) next();
  else pending.once('close', () => socket.destroyed || next());
}
