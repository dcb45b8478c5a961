import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** What a connection may have of unanswered requests. One read of the socket brings thousands of small ones. */
const MAX_UNANSWERED = 100;

interface Unanswered {
  /** The response that is written last. */
  newest: ServerResponse | undefined;
  count: number;
}

/** The requests of each socket whose answers are still to come, or to be finished. */
const unanswered = new WeakMap<Duplex, Unanswered>();

/**
 * To be told of every request. Returns whether it is to be handled: a connection with too many of them is ended, and
 * what Node reads of it afterwards is answered no more.
 */
export function noteRequest(request: IncomingMessage, response: ServerResponse): boolean {
  const { socket } = request;
  if (socket.destroyed) return false;
  let onSocket = unanswered.get(socket);
  if (onSocket === undefined) {
    onSocket = { newest: undefined, count: 0 };
    unanswered.set(socket, onSocket);
  }
  onSocket.newest = response;
  onSocket.count += 1;
  response.on('close', noteAnswered);
  if (onSocket.count <= MAX_UNANSWERED) return true;
  socket.destroy();
  return false;
}

/** Forgets the response, and with it the request: a connection that waits for its next one must not hold its last. */
function noteAnswered(this: ServerResponse): void {
  const onSocket = unanswered.get(this.req.socket);
  if (onSocket === undefined) return;
  onSocket.count -= 1;
  if (onSocket.newest === this) onSocket.newest = undefined;
}

/** The answer on this socket that is still to come, or to be finished. */
export function pendingResponse(socket: Duplex): ServerResponse | undefined {
  const response = unanswered.get(socket)?.newest;
  return response?.writableFinished ? undefined : response;
}

/** Runs `next` once the requests before are answered; never when the connection ends first. */
export function afterAnswers(socket: Duplex, next: () => void): void {
  const pending = pendingResponse(socket);
  if (pending === undefined) next();
  else pending.once('close', () => socket.destroyed || next());
}
