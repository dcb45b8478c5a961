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

/** The newest request of each socket, as far as it is answered. */
const latestResponse = new WeakMap<Duplex, ServerResponse>();

/** To be told of every request, before it is handled. */
export function noteRequest(request: IncomingMessage, response: ServerResponse): void {
  latestResponse.set(request.socket, response);
}

/** The answer on this socket that is still to come, or to be finished. */
export function pendingResponse(socket: Duplex): ServerResponse | undefined {
  const response = latestResponse.get(socket);
  return response?.writableFinished ? undefined : response;
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

/** Throws when the field is missing (RFC 9112 §3.2). Checked here because Node's own refusal has no body. */
export function checkHost(request: IncomingMessage): void {
  if (request.headers.host === undefined && request.httpVersion === '1.1') {
    throw new HttpError(400, 'Host header is required', { Connection: 'close' });
  }
}

export function json(body: string): Reply {
  return { status: 200, contentType: 'application/json', body };
}

/**
 * Reads the body as UTF-8 text, whatever its Content-Type says. Whatever `onBody` throws goes to `onError`, and a 413
 * `HttpError` as soon as the body is longer than `maxBytes`. Neither hears of a client that goes away before the end:
 * there is nobody to answer.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  onBody: (body: string) => void,
  onError: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;

  const refuse = () => {
    request.off('data', onData);
    request.off('end', onEnd);
    onError(new HttpError(413, `Body must be at most ${maxBytes} bytes`, { Connection: 'close' }));
  };
  const onData = (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxBytes) refuse();
    else chunks.push(chunk);
  };
  const onEnd = () => {
    try {
      const [only = Buffer.alloc(0)] = chunks;
      onBody((chunks.length > 1 ? Buffer.concat(chunks, length) : only).toString());
    } catch (error) {
      onError(error as Error);
    }
  };

  if (Number(request.headers['content-length']) > maxBytes) {
    refuse();
    return;
  }
  request.on('data', onData);
  request.on('end', onEnd);
}

/** Writes the whole answer; a HEAD request gets its headers only. */
export function sendReply(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  // A flat list is what Node takes without looking at it twice.
  const fields = ['Content-Type', reply.contentType];
  fields.push('Content-Length', String(Buffer.byteLength(reply.body)));
  for (const name in reply.headers) {
    const value = reply.headers[name] ?? '';
    // What it says of the connection must not keep it open.
    const isLast = name === 'Connection' && isLastOn(request, response) && value !== 'close';
    fields.push(name, isLast ? `${value}, close` : value);
  }
  response.writeHead(reply.status, fields);

  const body = request.method === 'HEAD' ? '' : reply.body;
  if (request.complete || reply.headers?.['Connection'] !== 'close') {
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
