import { connect, type Socket } from 'node:net';

/** Everything that the contract promises takes less time, except for slow requests. */
const DEFAULT_IDLE_TIMEOUT_MS = 15_000;
/** Attackers have several addresses, because one has too few ports for tens of thousands of connections. */
const LOCAL_ADDRESSES = 100;
let connections = 0;

/** A TCP connection to the server, destroyed when it has been idle for `idleTimeoutMs`. */
export function openSocket(port: number, idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS): Socket {
  connections += 1;
  const socket = connect({
    port,
    host: '127.0.0.1',
    localAddress: `127.0.1.${1 + (connections % LOCAL_ADDRESSES)}`,
    noDelay: true,
  });
  // Attacks provoke resets. What came before them is checked.
  socket.on('error', () => {});
  socket.setTimeout(idleTimeoutMs, () => socket.destroy());
  return socket;
}

/** One whole HTTP answer. */
export interface HttpReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ParsedReply {
  readonly reply: HttpReply;
  /** The index of the first byte behind it. */
  readonly end: number;
}

/** The answer at the start of `bytes`, undefined while it is incomplete. Throws when it is not HTTP with a length. */
export function parseReply(bytes: Buffer, isHead = false): ParsedReply | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) throw new Error(`no status line: ${JSON.stringify(statusLine)}`);

  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const bodyStart = headEnd + 4;
  const noBody = isHead || status === 101 || status === 100;
  const length = noBody ? 0 : Number(headers['content-length']);
  if (Number.isNaN(length)) throw new Error(`${status} without a length`);
  if (bytes.length < bodyStart + length) return undefined;
  const body = bytes.toString('utf8', bodyStart, bodyStart + length);
  return { reply: { status, headers, body }, end: bodyStart + length };
}

export interface HttpExchange {
  readonly replies: readonly HttpReply[];
  /** Bytes behind the last complete answer. */
  readonly rest: Buffer;
  /** Whether the server sent a FIN. */
  readonly ended: boolean;
  readonly ms: number;
}

export interface SendOptions {
  /** How many answers to wait for. Waits for the end of the connection unless given. */
  readonly replies?: number;
  /** Sends a FIN behind `bytes`. */
  readonly finish?: boolean;
  /** Sends more behind `bytes`. */
  readonly feed?: (socket: Socket) => void;
  readonly idleTimeoutMs?: number;
}

/** Sends bytes on a new connection and resolves to what came back. Never rejects. */
export function sendHttp(
  port: number,
  bytes: string | Buffer,
  { replies: wanted = Number.POSITIVE_INFINITY, finish, feed, idleTimeoutMs }: SendOptions = {},
): Promise<HttpExchange> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = openSocket(port, idleTimeoutMs);
    const replies: HttpReply[] = [];
    let rest: Buffer = Buffer.alloc(0);
    let ended = false;

    socket.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      try {
        for (;;) {
          const parsed = parseReply(rest);
          if (parsed === undefined) break;
          replies.push(parsed.reply);
          rest = rest.subarray(parsed.end);
        }
      } catch {
        // What is not HTTP stays in `rest`.
      }
      if (replies.length >= wanted) socket.destroy();
    });
    socket.on('end', () => {
      ended = true;
    });
    socket.on('close', () => resolve({ replies, rest, ended, ms: performance.now() - started }));
    socket.write(bytes);
    feed?.(socket);
    if (finish) socket.end();
  });
}

/** A POST request. `headers` replace the defaults or come after them; undefined leaves one out. */
export function post(
  body: string | Buffer,
  { path = '/broadcast', headers = {} }: PostOptions = {},
): Buffer {
  const content = Buffer.from(body);
  const all = { Host: 'localhost', 'Content-Length': String(content.length), ...headers };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), content]);
}

export interface PostOptions {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** Whether the answer is this error, in the form of all errors. */
export function isError(reply: HttpReply | undefined, status: number, error: string): boolean {
  return (
    reply?.status === status &&
    reply.headers['content-type'] === 'application/json' &&
    reply.body === JSON.stringify({ error })
  );
}

export function describeExchange({ replies, rest, ended }: HttpExchange): string {
  const said = replies.map(({ status, body }) => `${status} ${body}`).join(', ');
  const left = rest.length > 0 ? ` and ${rest.length} bytes` : '';
  return `${said || 'nothing'}${left}${ended ? '' : ', connection not ended'}`;
}
