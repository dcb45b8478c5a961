import fc from 'fast-check';
import { sign } from '../support/tokens.ts';
import { type Attack, seedFor, type Target, times } from './attack.ts';
import { post, talkHttp } from './http-wire.ts';
import { Tally } from './tally.ts';
import { closeFrame, frame, HANDSHAKE, handshake, subscribe, WireClient } from './wire.ts';

/** Properties that run beside each other: one alone would wait for the network most of the time. */
const LANES = 16;

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
    frame(payload, {
      first,
      // Mostly masked, or nothing would get past the first frame.
      ...(mask !== null || first % 7 === 0 ? { mask } : {}),
      ...(lengthBytes === 2 || lengthBytes === 8 ? { lengthBytes } : {}),
    }),
  );

const goodFrames = [
  frame('{"event":"ping"}'),
  subscribe(['fuzz']),
  frame('abc', { first: 0x89 }),
  frame('{"event":', { first: 0x01 }),
  frame('"ping"}', { first: 0x80 }),
  frame('binary', { first: 0x82 }),
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
    .tuple(fc.array(fc.constantFrom(...goodFrames), { minLength: 1, maxLength: 8 }), edits)
    .map(([frames, changes]) => mutate(Buffer.concat(frames), changes)),
);

const GOOD_REQUESTS = [
  handshake(),
  'GET /info.json HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
  post(JSON.stringify({ token: sign({ channel: 'fuzz', message: {} }) })).toString(),
  'POST /broadcast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
].map((text) => Buffer.from(text));

const hostileRequest = fc.oneof(
  anyBytes,
  fc
    .tuple(fc.array(fc.constantFrom(...GOOD_REQUESTS), { minLength: 1, maxLength: 3 }), edits)
    .map(([requests, changes]) => mutate(Buffer.concat(requests), changes)),
);

/** Runs one property many times, in lanes of their own seeds; a counter-example comes shrunk and with its seed. */
async function assertMany(
  target: Target,
  tally: Tally,
  name: string,
  full: number,
  bytes: fc.Arbitrary<Buffer>,
  judge: (bytes: Buffer) => Promise<string | undefined>,
): Promise<void> {
  const seed = seedFor(target, name);
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const property = fc.asyncProperty(bytes, async (hostile) => {
        tally.message(hostile);
        const fault = await judge(hostile);
        if (fault !== undefined) throw new Error(fault);
        tally.check(true, () => '');
      });
      const details = await fc.check(property, {
        seed: seed + lane,
        numRuns: Math.ceil(times(target, full) / LANES),
      });
      if (details.failed) {
        const [shrunk] = details.counterexample ?? [];
        const why = (details.errorInstance as Error | null)?.message;
        tally.check(
          false,
          () =>
            `${name}, seed ${details.seed}, path ${details.counterexamplePath}: ${why}; ${shrunk?.toString('hex')}`,
        );
      }
    }),
  );
}

/** Codes of the server's own and those that it may echo; 1005 stands for none. */
function isLegal(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1006) ||
    (code >= 3000 && code < 5000)
  );
}

/** Random bytes, random frames and mutated good ones behind a handshake. */
export const fuzzedFrames: Attack = async (target) => {
  const tally = new Tally();
  await assertMany(target, tally, 'frames', 20_000, hostileFrames, async (bytes) => {
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, bytes);
    // Whatever it still waits for will not come.
    client.socket.end();
    await client.gone;
    const { close, reply, fault } = client;
    if (fault !== undefined) return fault;
    if (reply?.status !== 101) return `handshake answered ${client.describe()}`;
    return close === undefined || isLegal(close.code) ? undefined : client.describe();
  });
  return tally.outcome;
};

/** Random bytes and mutated requests on the HTTP path: whole answers with a promised status, or the end. */
export const fuzzedHttp: Attack = async (target) => {
  const tally = new Tally();
  await assertMany(target, tally, 'requests', 10_000, hostileRequest, async (bytes) => {
    const talk = await talkHttp(target.port, bytes, { finish: true });
    const strange = talk.replies.find(
      ({ status, headers, body }) =>
        status !== 101 &&
        (!STATUSES.has(status) ||
          (status >= 400 && !/^\{"error":"[^"]+"\}$/.test(body) && body !== '') ||
          !('content-type' in headers)),
    );
    if (strange !== undefined) return JSON.stringify(strange);
    return undefined;
  });
  return tally.outcome;
};
