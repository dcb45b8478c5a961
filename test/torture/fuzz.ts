import fc from 'fast-check';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { sign } from '../support/tokens.ts';
import { type Attack, seedFor, type Target, times } from './attack.ts';
import { closeFrame, HANDSHAKE, subscribe } from './client-messages.ts';
import { post, sendHttp } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** Checks that run at a time: a single one would wait for the network most of the time. */
const LANES = 16;

/** Of all answers that the contract has for such requests. */
const STATUSES = new Set([100, 200, 400, 404, 405, 408, 413, 417, 426, 431]);

const anyBytes = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));

const anyFrame = fc
  .record({
    first: fc.oneof(fc.constantFrom(0x81, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8a), fc.nat(255)),
    payload: fc.oneof(
      anyBytes,
      fc
        .constantFrom('{"event":"ping"}', '{"event":"authenticate","data":""}', '{}', '')
        .map(Buffer.from),
      fc.json().map((text) => Buffer.from(text)),
    ),
    mask: fc.option(fc.uint8Array({ minLength: 4, maxLength: 4 }).map((mask) => Buffer.from(mask))),
    lengthBytes: fc.constantFrom(undefined, undefined, undefined, 2, 8),
  })
  .map(({ first, payload, mask, lengthBytes }) =>
    clientFrame(payload, {
      first,
      // Mostly masked, or the server would read no more than the first frame.
      ...(mask === null ? { masked: first % 7 !== 0 } : { mask }),
      ...(lengthBytes === 2 || lengthBytes === 8 ? { lengthBytes } : {}),
    }),
  );

const CORRECT_FRAMES = [
  clientFrame('{"event":"ping"}'),
  subscribe(['fuzz']),
  clientFrame('abc', { first: 0x89 }),
  clientFrame('{"event":', { first: 0x01 }),
  clientFrame('"ping"}', { first: 0x80 }),
  clientFrame('binary', { first: 0x82 }),
  closeFrame(1000, 'bye'),
];

/** Bytes flipped, cut out or repeated. */
function mutate(
  bytes: Buffer,
  edits: readonly (readonly [at: number, kind: number, value: number])[],
): Buffer {
  let mutated = Buffer.from(bytes);
  for (const [position, kind, value] of edits) {
    const at = position % (mutated.length + 1);
    const before = mutated.subarray(0, at);
    const after = mutated.subarray(at);
    const changed = [Buffer.from([value]), Buffer.alloc(0), after.subarray(0, value % 32)][kind];
    const kept = kind === 2 ? after : after.subarray(1);
    mutated = Buffer.concat([before, changed ?? before, kept]);
  }
  return mutated;
}

const edits = fc.array(fc.tuple(fc.nat(2_000), fc.nat(2), fc.nat(255)), {
  minLength: 1,
  maxLength: 8,
});

const hostileFrames = fc.oneof(
  anyBytes,
  fc.array(anyFrame, { minLength: 1, maxLength: 8 }).map((frames) => Buffer.concat(frames)),
  fc
    .tuple(fc.array(fc.constantFrom(...CORRECT_FRAMES), { minLength: 1, maxLength: 8 }), edits)
    .map(([frames, changes]) => mutate(Buffer.concat(frames), changes)),
);

const CORRECT_REQUESTS = [
  handshake(),
  'GET /info.json HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
  post(JSON.stringify({ token: sign({ channel: 'fuzz', message: {} }) })).toString(),
  'POST /broadcast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
].map((text) => Buffer.from(text));

const hostileRequest = fc.oneof(
  anyBytes,
  fc
    .tuple(fc.array(fc.constantFrom(...CORRECT_REQUESTS), { minLength: 1, maxLength: 3 }), edits)
    .map(([requests, changes]) => mutate(Buffer.concat(requests), changes)),
);

/** Checks many inputs. Each lane has a seed of its own. Reports a counterexample shrunk and with its seed. */
async function assertMany(
  target: Target,
  results: ResultCollector,
  name: string,
  full: number,
  bytes: fc.Arbitrary<Buffer>,
  describeFault: (bytes: Buffer) => Promise<string | undefined>,
): Promise<void> {
  const seed = seedFor(target, name);
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const property = fc.asyncProperty(bytes, async (hostile) => {
        results.addMessage(hostile);
        const fault = await describeFault(hostile);
        if (fault !== undefined) throw new Error(fault);
        results.check(true, () => '');
      });
      const details = await fc.check(property, {
        seed: seed + lane,
        numRuns: Math.ceil(times(target, full) / LANES),
      });
      if (details.failed) {
        const [shrunk] = details.counterexample ?? [];
        const why = (details.errorInstance as Error | null)?.message;
        results.check(
          false,
          () =>
            `${name}, seed ${details.seed}, path ${details.counterexamplePath}: ${why}; ${shrunk?.toString('hex')}`,
        );
      }
    }),
  );
}

/** Codes that the server sends or may echo. 1005 stands for a close frame without a code. */
function isLegal(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1006) ||
    (code >= 3000 && code < 5000)
  );
}

/** A handshake, then random bytes, random frames or mutated correct ones. */
export const fuzzedFrames: Attack = async (target) => {
  const results = new ResultCollector();
  await assertMany(target, results, 'frames', 20_000, hostileFrames, async (bytes) => {
    results.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, bytes);
    // Nothing else is sent, so that the server does not wait for the rest.
    client.socket.end();
    await client.disconnected;
    const { close, reply, fault } = client;
    if (fault !== undefined) return fault;
    if (reply?.status !== 101) return `handshake answered ${client.describe()}`;
    return close === undefined || isLegal(close.code) ? undefined : client.describe();
  });
  return results.outcome;
};

/** Random bytes and mutated HTTP requests. Each is answered as documented, or the connection is closed. */
export const fuzzedHttp: Attack = async (target) => {
  const results = new ResultCollector();
  await assertMany(target, results, 'requests', 10_000, hostileRequest, async (bytes) => {
    const exchange = await sendHttp(target.port, bytes, { finish: true });
    const unexpected = exchange.replies.find(
      ({ status, headers, body }) =>
        status !== 101 &&
        (!STATUSES.has(status) ||
          (status >= 400 && !/^\{"error":"[^"]+"\}$/.test(body) && body !== '') ||
          !('content-type' in headers)),
    );
    if (unexpected !== undefined) return JSON.stringify(unexpected);
    return undefined;
  });
  return results.outcome;
};
