import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Reply } from './reply.ts';
import { awaitingContinue } from './request.ts';

/** A client that still sends when it is refused may read the answer for this long before the connection ends. */
const LINGER_MS = 1_000;

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
