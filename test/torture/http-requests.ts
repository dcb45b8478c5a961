import type { Socket } from 'node:net';
import { handshake } from '../support/handshake.ts';
import { Random } from '../support/random.ts';
import { sign } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import { describeExchange, isError, post, type SendOptions, sendHttp } from './http-client.ts';
import { MAX_BODY_BYTES } from './request-bodies.ts';
import { ResultCollector } from './result-collector.ts';

/** A request that the server must refuse, and how. */
interface Refused {
  readonly what: string;
  readonly bytes: string | Buffer;
  readonly status: number;
  readonly error: string;
  readonly options?: SendOptions;
}

async function expectError(
  { port }: Target,
  results: ResultCollector,
  refused: Refused,
): Promise<void> {
  const { what, bytes, status, error, options } = refused;
  const exchange = await sendHttp(port, bytes, options);
  const conforms =
    isError(exchange.replies[0], status, error) && exchange.replies.length === 1 && exchange.ended;
  results.check(conforms, () => `${what}: ${describeExchange(exchange)}`);
}

const GET = 'GET /info.json HTTP/1.1\r\nHost: localhost\r\n';

function oversized(random: Random): Refused {
  const word = random.word(17_000 + random.below(30_000));
  const name = random.word(10);
  const bytes = random.pick([
    `${GET}${name}: ${word}\r\n\r\n`,
    `${GET}${word}: ${name}\r\n\r\n`,
    `${GET}${`${name}: ${random.word(20)}\r\n`.repeat(600)}\r\n`,
    `GET /${word} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    handshake({ path: `/subscribe?${word}` }),
    handshake({ headers: { Cookie: word } }),
    handshake({ headers: { 'Sec-WebSocket-Key': word } }),
    handshake({ headers: { 'Sec-WebSocket-Protocol': word } }),
  ]);
  return {
    what: 'oversized headers',
    bytes,
    status: 431,
    error: 'Request header fields too large',
  };
}

/** More than 16 KiB of header, in every part of it. */
export const oversizedHeaders: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'headers'));
  await inParallel(times(target, 1_000), 16, () => expectError(target, results, oversized(random)));
  return results.outcome;
};

/** Bodies over the limit, by their Content-Length, by what is sent, or in chunks. */
export const oversizedBodies: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'bodies'));
  const error = `Body must be at most ${MAX_BODY_BYTES} bytes`;
  const body = Buffer.alloc(MAX_BODY_BYTES + 1, 'x');
  const chunk = Buffer.concat([
    Buffer.from('10000\r\n'),
    Buffer.alloc(65_536, 'x'),
    Buffer.from('\r\n'),
  ]);
  const head = 'POST /broadcast HTTP/1.1\r\nHost: localhost\r\n';
  const kinds: readonly (readonly [what: string, bytes: string | Buffer, rest?: Buffer])[] = [
    ['a length too long', `${head}Content-Length: ${MAX_BODY_BYTES + 1}\r\n\r\n`],
    ['a length beyond reason', `${head}Content-Length: ${Number.MAX_SAFE_INTEGER}\r\n\r\n`],
    ['a body too long', post(body)],
    [
      'endless chunks',
      `${head}Transfer-Encoding: chunked\r\n\r\n`,
      Buffer.concat(Array.from({ length: 40 }, () => chunk)),
    ],
  ];
  await inParallel(times(target, 300), 16, async () => {
    const [what, bytes, rest] = random.pick(kinds);
    const feed = (socket: Socket) => rest !== undefined && socket.write(rest);
    const exchange = await sendHttp(target.port, bytes, { feed });
    const [reply] = exchange.replies;
    const conforms = isError(reply, 413, error) && reply?.headers['connection'] === 'close';
    results.check(conforms, () => `${what}: ${describeExchange(exchange)}`);
  });
  return results.outcome;
};

const BAD_REQUEST = [400, 'Bad request'] as const;
const NOT_FOUND = [404, 'Not found'] as const;
const NO_TOKEN = [401, 'Bearer token required'] as const;
const NOT_ALLOWED = [405, 'Method not allowed'] as const;

/** Requests that violate HTTP, or ask for something that does not exist. */
const MALFORMED: readonly (readonly [bytes: string, answer: readonly [number, string]])[] = [
  ['garbage\r\n\r\n', BAD_REQUEST],
  ['GET\r\n\r\n', BAD_REQUEST],
  ['GET / HTTP/9.9\r\nHost: a\r\n\r\n', BAD_REQUEST],
  ['GET / HTTP/1.1\nHost: a\n\nGET', BAD_REQUEST],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', BAD_REQUEST],
  ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', BAD_REQUEST],
  ['GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n', BAD_REQUEST],
  ['GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n', BAD_REQUEST],
  ['GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n', BAD_REQUEST],
  ['GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n', BAD_REQUEST],
  ['POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', BAD_REQUEST],
  ['POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n', BAD_REQUEST],
  [
    'POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n',
    BAD_REQUEST,
  ],
  [
    'POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    BAD_REQUEST,
  ],
  [
    'POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    BAD_REQUEST,
  ],
  [
    'POST /broadcast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
    BAD_REQUEST,
  ],
  [
    'POST /broadcast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n',
    BAD_REQUEST,
  ],
  [
    `POST /broadcast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}`,
    [413, 'Chunk extensions too large'],
  ],
  ['GET / HTTP/1.1\r\n\r\n', [400, 'Host header is required']],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n',
    [417, 'Expectation failed'],
  ],
  ['CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\n\r\n', NOT_FOUND],
  [
    'GET /ping?channel=everyone&message=%7B%7D HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    NOT_FOUND,
  ],
  ['GET /test HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_FOUND],
  ['GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NO_TOKEN],
  [
    'GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer guess\r\nConnection: close\r\n\r\n',
    NO_TOKEN,
  ],
  ['GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_FOUND],
  ['GET /__proto__ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_FOUND],
  ['GET http://evil.example/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_FOUND],
  ['OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_FOUND],
  ['constructor /info.json HTTP/1.1\r\nHost: a\r\n\r\n', BAD_REQUEST],
  ['TRACE /info.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_ALLOWED],
  ['GET /broadcast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_ALLOWED],
  ['DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', NOT_ALLOWED],
  ['GET /subscribe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', [426, 'Upgrade required']],
];

export const malformedHttp: Attack = async (target) => {
  const results = new ResultCollector();
  await inParallel(MALFORMED.length * times(target, 60), 32, async (index) => {
    const [text, [status, error]] = MALFORMED[
      index % MALFORMED.length
    ] as (typeof MALFORMED)[number];
    const what = JSON.stringify(text.slice(0, 100));
    await expectError(target, results, { what, bytes: Buffer.from(text, 'latin1'), status, error });
  });
  return results.outcome;
};

const BYTE_EVERY_MS = 200;
/** 15 s for a request, checked every 5 s, and what a busy machine needs. */
const MAX_TIMEOUT_MS = 26_000;

function slowly(text: string): (socket: Socket) => void {
  return (socket) => {
    let next = 0;
    const timer = setInterval(() => {
      socket.write(text.charAt(next % text.length));
      next += 1;
    }, BYTE_EVERY_MS);
    socket.once('close', () => clearInterval(timer));
  };
}

const HALF_OPEN = `POST /broadcast HTTP/1.1\r\nHost: a\r\n`;
const BODY = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });

const SLOW: readonly (readonly [what: string, start: string, bytes: string | undefined])[] = [
  ['a connection without a byte', '', undefined],
  ['half a request line', 'GET /inf', undefined],
  ['half the headers', HALF_OPEN, undefined],
  ['headers a byte at a time', '', `GET / HTTP/1.1\r\nX: ${'x'.repeat(500)}`],
  ['a handshake a byte at a time', '', `${handshake().slice(0, -4)}${'x'.repeat(500)}`],
  ['a body a byte at a time', `${HALF_OPEN}Content-Length: ${BODY.length}\r\n\r\n`, BODY],
  ['a body that never comes', `${HALF_OPEN}Content-Length: ${BODY.length}\r\n\r\n`, undefined],
  ['chunks a byte at a time', `${HALF_OPEN}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n'],
];

/** Requests that never end. The server must answer each with 408 and close it. Runs beside the other attacks. */
export const slowHttp: Attack = async (target) => {
  const results = new ResultCollector();
  await Promise.all(
    Array.from({ length: SLOW.length * times(target, 40) }, async (_, index) => {
      const [what, start, bytes] = SLOW[index % SLOW.length] as (typeof SLOW)[number];
      const feed = bytes === undefined ? undefined : slowly(bytes);
      const exchange = await sendHttp(target.port, start, {
        idleTimeoutMs: MAX_TIMEOUT_MS,
        ...(feed && { feed }),
      });
      const conforms =
        isError(exchange.replies[0], 408, 'Request timeout') &&
        exchange.ended &&
        exchange.ms < MAX_TIMEOUT_MS;
      results.check(
        conforms,
        () => `${what}: ${describeExchange(exchange)} after ${Math.round(exchange.ms / 1_000)} s`,
      );
    }),
  );
  return results.outcome;
};
