import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** What an endpoint answers. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Further header fields. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal with the status and the text that the client reads. Made by endpoints, written by the router. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }

  toReply(): Reply {
    return {
      status: this.status,
      contentType: 'application/json',
      body: JSON.stringify({ error: this.message }),
      headers: this.headers,
    };
  }
}

/** A client that still sends when it is refused may read the answer for this long before the connection ends. */
const LINGER_MS = 1_000;

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

/** The path of a request without query string and without one trailing slash. */
export function pathOf(request: IncomingMessage): string {
  // The absolute form of a request target must be accepted too (RFC 9112 §3.2.2).
  const { url = '' } = request;
  const target = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '');
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path || '/';
}

/** Throws when there is not one such field (RFC 9112 §3.2). Node's own refusal has no body, and lets two pass. */
export function checkHost(request: IncomingMessage): void {
  const { rawHeaders } = request;
  let hosts = 0;
  // Of several fields Node keeps the first in `headers` and says nothing of the others.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) throw new HttpError(400, 'Host header must be single', { Connection: 'close' });
  if (hosts === 0 && request.httpVersion === '1.1') {
    throw new HttpError(400, 'Host header is required', { Connection: 'close' });
  }
}

export function json(body: string): Reply {
  return { status: 200, contentType: 'application/json', body };
}

/** Requests whose clients wait for `100 Continue` before they send the body, and the response that can write it. */
const awaitingContinue = new WeakMap<IncomingMessage, ServerResponse>();

/** Notes that the client asked whether its body is wanted (RFC 9110 §10.1.1). */
export function noteExpectation(request: IncomingMessage, response: ServerResponse): void {
  awaitingContinue.set(request, response);
}

/** To be called when the body is going to be read: a client that waits for that is told to send it. */
export function continueReading(request: IncomingMessage): void {
  const response = awaitingContinue.get(request);
  if (response === undefined) return;
  awaitingContinue.delete(request);
  response.writeContinue();
}

/** Writes the whole answer; a HEAD request gets its headers only. */
export function sendReply(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  // A flat list is what Node takes without looking at it twice.
  const fields = ['Content-Type', reply.contentType];
  fields.push('Content-Length', String(Buffer.byteLength(reply.body)));
  // A client that was never told to send its body may send it or not: where the next request begins is not known.
  const headers = awaitingContinue.has(request)
    ? { Connection: 'close', ...reply.headers }
    : reply.headers;
  for (const name in headers) {
    const value = headers[name] ?? '';
    // What it says of the connection must not keep it open.
    const isLast = name === 'Connection' && isLastOn(request, response) && value !== 'close';
    fields.push(name, isLast ? `${value}, close` : value);
  }
  response.writeHead(reply.status, fields);

  const body = request.method === 'HEAD' ? '' : reply.body;
  if (request.complete || headers?.['Connection'] !== 'close') {
    response.end(body);
    return;
  }

  // Ending now would close the connection on a client that is still sending; the reset that follows
  // could destroy the answer before it is read. So its bytes are discarded for a while.
  response.write(body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  request.once('close', end);
  request.resume();
}

/** Whether client or server have said that the connection ends with this answer. */
function isLastOn(request: IncomingMessage, response: ServerResponse): boolean {
  return (
    awaitingContinue.has(request) ||
    response.getHeader('Connection') === 'close' ||
    /\bclose\b/i.test(request.headers.connection ?? '')
  );
}

/** Writes a whole answer to a socket that no `ServerResponse` serves, and ends the connection. */
export function endWithReply(socket: Duplex, reply: Reply): void {
  // Nobody else listens on such a socket; a reset would end the process.
  socket.on('error', () => socket.destroy());
  if (!socket.writable) {
    socket.destroy();
    return;
  }

  const headers = {
    ...reply.headers,
    Connection: [reply.headers?.['Connection'], 'close'].filter(Boolean).join(', '),
    'Content-Type': reply.contentType,
    'Content-Length': Buffer.byteLength(reply.body),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${lines.join('')}\r\n${reply.body}`,
  );
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
}
