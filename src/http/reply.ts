import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { isAwaitingContinue } from './body/expect-continue.ts';

/** The answer of an endpoint. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Further header fields. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** How long a refused client that still sends may go on reading the answer before the connection ends. */
const LINGER_MS = 1_000;

/** A reply with status 200 whose body is the JSON text `body`. */
export function json(body: string): Reply {
  return { status: 200, contentType: 'application/json', body };
}

/** Writes the whole reply; a HEAD request gets the header fields only. */
export function sendReply(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  // A client that still waits for `100 Continue` may send its body or not: where its next request begins is unknown.
  const headers = isAwaitingContinue(request)
    ? { Connection: 'close', ...reply.headers }
    : reply.headers;
  response.writeHead(reply.status, fieldList(request, response, reply, headers));

  const body = request.method === 'HEAD' ? '' : reply.body;
  if (request.complete || headers?.['Connection'] !== 'close') response.end(body);
  else endAfterLingering(request, response, body);
}

/** Names and values in turn: of all forms that `writeHead` takes, this one costs least. */
function fieldList(
  request: IncomingMessage,
  response: ServerResponse,
  { contentType, body }: Reply,
  headers: Reply['headers'],
): string[] {
  const fields = ['Content-Type', contentType];
  fields.push('Content-Length', String(Buffer.byteLength(body)));
  for (const name in headers) {
    const value = headers[name] ?? '';
    // `Connection: Upgrade` alone would make Node keep open a connection that is to end.
    const addsClose = name === 'Connection' && value !== 'close' && isLastOn(request, response);
    fields.push(name, addsClose ? `${value}, close` : value);
  }
  return fields;
}

/** True if client or server have said that the connection ends with this reply. */
function isLastOn(request: IncomingMessage, response: ServerResponse): boolean {
  return (
    isAwaitingContinue(request) ||
    response.getHeader('Connection') === 'close' ||
    /\bclose\b/i.test(request.headers.connection ?? '')
  );
}

/**
 * Discards what the client still sends, then ends the connection. Ended at once, the connection would be reset by the
 * bytes that still come, and a reset can destroy the reply before the client has read it.
 */
function endAfterLingering(request: IncomingMessage, response: ServerResponse, body: string): void {
  response.write(body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  request.once('close', end);
  request.resume();
}

/** Writes the whole reply to a socket without a `ServerResponse`, and ends the connection. */
export function endWithReply(socket: Duplex, reply: Reply): void {
  // Nobody else listens for errors on such a socket; a reset would end the process.
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
