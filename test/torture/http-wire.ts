import { connect, type Socket } from 'node:net';

/** Nothing the server promises takes longer than this, slow requests aside. */
const PATIENCE_MS = 15_000;
/** Attackers come from several addresses: one alone has too few ports for tens of thousands of connections. */
const ADDRESSES = 100;
let connections = 0;

/** A TCP connection to the server. It is destroyed when nothing happens on it for too long. */
export function openSocket(port: number, patienceMs = PATIENCE_MS): Socket {
  connections += 1;
  const socket = connect({
    port,
    host: '127.0.0.1',
    localAddress: `127.0.1.${1 + (connections % ADDRESSES)}`,
    noDelay: true,
  });
  // Resets are what attacks are about; whoever cares looks at what came before.
  socket.on('error', () => {});
  socket.setTimeout(patienceMs, () => socket.destroy());
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
  /** The index behind it. */
  readonly end: number;
}

/** The answer at the start of `bytes`, or undefined while it is not whole. Throws when it is no HTTP with a length. */
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

export interface HttpTalk {
  readonly replies: readonly HttpReply[];
  /** Bytes that are no whole answer. */
  readonly rest: Buffer;
  /** Whether the server ended the connection. */
  readonly ended: boolean;
  readonly ms: number;
}

export interface TalkOptions {
  /** How many answers to wait for; without a number, until the server ends the connection. */
  readonly replies?: number;
  /** Whether to say with a FIN that nothing more will come. */
  readonly finish?: boolean;
  /** Sends more, after `bytes`. */
  readonly feed?: (socket: Socket) => void;
  readonly patienceMs?: number;
}

/** Sends bytes on a connection of their own and resolves to what came back. Never rejects. */
export function talkHttp(
  port: number,
  bytes: string | Buffer,
  { replies: wanted = Number.POSITIVE_INFINITY, finish, feed, patienceMs }: TalkOptions = {},
): Promise<HttpTalk> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = openSocket(port, patienceMs);
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
        // What is no HTTP stays in `rest`.
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

/** A request with a body, as text. `fields` may replace the defaults; undefined leaves one out. */
export function post(
  body: string | Buffer,
  { path = '/broadcast', fields = {} }: PostOptions = {},
): Buffer {
  const content = Buffer.from(body);
  const all = { Host: 'localhost', 'Content-Length': String(content.length), ...fields };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), content]);
}

export interface PostOptions {
  readonly path?: string;
  readonly fields?: Readonly<Record<string, string | undefined>>;
}

/** Whether the answer is this error in the form that every error has. */
export function isError(reply: HttpReply | undefined, status: number, error: string): boolean {
  return (
    reply?.status === status &&
    reply.headers['content-type'] === 'application/json' &&
    reply.body === JSON.stringify({ error })
  );
}

export function describeTalk({ replies, rest, ended }: HttpTalk): string {
  const said = replies.map(({ status, body }) => `${status} ${body}`).join(', ');
  const left = rest.length > 0 ? ` and ${rest.length} bytes` : '';
  return `${said || 'nothing'}${left}${ended ? '' : ', connection not ended'}`;
}
