import fc from 'fast-check';
import { sign, signText } from '../support/tokens.ts';
import { type Attack, inParallel, Random, seedFor, type Target, times } from './attack.ts';
import { describeTalk, isError, post, talkHttp } from './http-wire.ts';
import { Tally } from './tally.ts';
import {
  authenticate,
  frame,
  HANDSHAKE,
  PING_MESSAGE,
  PONG_TEXT,
  subscribe,
  subscribedText,
  WireClient,
} from './wire.ts';

const MAX_MESSAGE_BYTES = 65_536;

/** No JSON objects, each in its own way. */
const NO_OBJECTS = [
  '',
  ' ',
  'garbage',
  '[]',
  'null',
  'true',
  '1',
  '-',
  '1e999',
  '"ping"',
  '{"event":"ping"',
  '{"event":"ping"}}',
  '{"event":"ping"}{"event":"ping"}',
  "{'event':'ping'}",
  '{event:"ping"}',
  '{"event":"ping",}',
  '{"event":"ping"}//',
  '\ufeff{"event":"ping"}',
  '\0{"event":"ping"}',
  '{"event":"\n"}',
  '{"event":"\\x41"}',
  '[{"event":"ping"}]',
  'undefined',
  'NaN',
  '['.repeat(MAX_MESSAGE_BYTES),
  '{"a":'.repeat(13_000),
  `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
  '"'.repeat(MAX_MESSAGE_BYTES),
  '\\'.repeat(MAX_MESSAGE_BYTES),
  '9'.repeat(MAX_MESSAGE_BYTES),
];

/** `data` of an authentication that no token can be. */
const NO_TOKENS = [
  undefined,
  null,
  1,
  true,
  {},
  [],
  { channels: ['a'] },
  '',
  '.',
  '..',
  '...',
  'a.b.c',
  'a.b.c.d',
  '\0',
  '__proto__',
  'e30.e30.e30',
  'x'.repeat(60_000),
  '.'.repeat(60_000),
];

/** Texts from random JSON values that differ from one another and from those of every other round. */
function randomJson(target: Target, name: string, count: number): string[] {
  return fc.sample(fc.json({ maxDepth: 4, noUnicodeString: false } as object), {
    numRuns: count,
    seed: seedFor(target, name),
  });
}

async function expectClose(
  { port }: Target,
  tally: Tally,
  bytes: Buffer,
  [code, reason]: readonly [code: number, reason: string],
  what: () => string,
) {
  tally.handshakes += 1;
  const client = new WireClient(port).send(HANDSHAKE, bytes, PING_MESSAGE);
  await client.gone;
  tally.check(client.closedWith(code, reason), () => `${what()}: ${client.describe()}`);
}

const INVALID_MESSAGE = [4400, 'Invalid message'] as const;
const NOT_AUTHORIZED = [4401, 'Not Authorized!'] as const;

/** Everything that is no JSON object, and every authentication without a token: closed at once. */
export const malformedMessages: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'malformed'));
  const texts = [
    ...NO_OBJECTS,
    ...randomJson(target, 'no objects', times(target, 8_000)).map((json, index) =>
      // A cut text, a list, or a value with something behind it.
      random.pick([`{"${index}":${json}`, `[${index},${json}]`, `${json} ${random.word(12)}`]),
    ),
  ];
  await inParallel(texts.length, 64, async (index) => {
    const text = texts[index] as string;
    tally.message(text);
    await expectClose(target, tally, frame(text), INVALID_MESSAGE, () => text.slice(0, 80));
  });

  const tokens: unknown[] = [...NO_TOKENS];
  for (let index = 0; index < times(target, 2_000); index += 1) {
    tokens.push(Array.from({ length: 1 + random.below(5) }, () => random.word(30)).join('.'));
  }
  await inParallel(tokens.length, 64, async (index) => {
    const bytes = authenticate(tokens[index]);
    tally.message(bytes);
    await expectClose(target, tally, bytes, NOT_AUTHORIZED, () => `token ${tokens[index]}`);
  });
  return tally.outcome;
};

const IGNORED = [
  '{}',
  '{"event":null}',
  '{"event":["ping"]}',
  '{"event":{"event":"ping"}}',
  '{"Event":"ping"}',
  '{"event":"PING"}',
  '{"event":"ping "}',
  '{"event":"ping","event":"other"}',
  '{"__proto__":{"event":"ping"}}',
  '{"constructor":{"prototype":{"event":"ping"}}}',
  '{"event":"__proto__"}',
  '{"event":"constructor","data":{}}',
  '{"event":"broadcast","channel":"everyone","message":{}}',
  '{"event":"subscribed","data":"{\\"channel\\":\\"everyone\\"}"}',
  `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
  `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  `{"event":"${'x'.repeat(60_000)}"}`,
];
const MESSAGES_PER_CONNECTION = 500;

/** Objects that say nothing the server knows, text and binary: no answer at all, and no harm. */
export const ignoredMessages: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'ignored'));
  const count = times(target, 80_000);
  const values = randomJson(target, 'ignored', count);
  await inParallel(Math.ceil(count / MESSAGES_PER_CONNECTION), 8, async (batch) => {
    const start = batch * MESSAGES_PER_CONNECTION;
    const messages = values
      .slice(start, start + MESSAGES_PER_CONNECTION)
      .map(
        (json, index) =>
          `{"${random.word(6)}":${json},"event":"${random.word(8)}${start + index}"}`,
      );
    messages.push(...IGNORED);
    const frames = messages.map((text) => {
      tally.message(text);
      return frame(text, { mask: random.bytes(4), first: random.below(10) === 0 ? 0x82 : 0x81 });
    });
    // Only the answer to this ping may come: a fence.
    frames.push(PING_MESSAGE);
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, ...frames);
    await client.received(1);
    const kept = client.texts.join() === PONG_TEXT && client.close === undefined;
    tally.check(kept, () => `ignored messages: ${client.describe()}`, messages.length);
    client.socket.destroy();
    await client.gone;
  });
  return tally.outcome;
};

const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '',
  ' ',
  '\0',
  '\n',
  '"',
  '\\',
  '{"channel":"x"}',
  'кана́л',
  'é',
  'e\u0301',
  '频道',
  '🌈',
  '\u202e',
  '\ufeff',
  '\ufffd',
  '\uffff',
  'x'.repeat(255),
];

/** Names that break careless servers: each is a channel of its own, confirmed and delivered to exactly. */
export const strangeNames: Attack = async (target) => {
  const tally = new Tally();
  tally.handshakes += 1;
  const client = new WireClient(target.port).send(HANDSHAKE, subscribe(NAMES));
  await client.received(NAMES.length);
  const confirmed = client.texts.join() === NAMES.map(subscribedText).join();
  tally.check(confirmed, () => `strange names: ${client.describe()}`, NAMES.length);

  for (const channel of NAMES) {
    client.frames.length = 0;
    const message = { channel, round: target.round };
    tally.message(JSON.stringify(message));
    const talk = await talkHttp(
      target.port,
      post(JSON.stringify({ token: sign({ channel, message }) })),
      { replies: 1 },
    );
    await client.received(1);
    const kept =
      talk.replies[0]?.body === '{"message":"Success","deliveries":1}' &&
      client.texts.join() === JSON.stringify(message);
    tally.check(
      kept,
      () => `${JSON.stringify(channel)}: ${describeTalk(talk)} ${client.describe()}`,
    );
  }
  client.socket.destroy();
  await client.gone;
  return tally.outcome;
};

const TOO_MANY = [4413, 'Too many channels'] as const;

/** Tokens that are genuine and ask for what nobody may have: none of their channels is joined. */
export const greedyTokens: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'greedy'));
  const names = (count: number) => {
    const prefix = random.word(4);
    return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  };
  await inParallel(times(target, 200), 4, async () => {
    const refusals: readonly (readonly [string, Buffer, readonly [number, string]])[] = [
      ['3,000 channels', subscribe(names(3_000)), TOO_MANY],
      ['1,001 channels', subscribe(names(1_001)), TOO_MANY],
      ['a long name', subscribe(['a', 'x'.repeat(256)]), [4413, 'Channel name too long']],
      [
        'a lone surrogate',
        authenticate(signText(`{"channels":["${random.word(5)}","\\ud800"]}`)),
        [4400, 'channel must be well-formed Unicode'],
      ],
      ...[undefined, null, 'a', 1, { 0: 'a', length: 1 }, ['a', 1], ['a', null], [['a']]].map(
        (channels) =>
          [
            `channels ${JSON.stringify(channels)}`,
            authenticate(sign({ channels, jti: random.word(8) })),
            [4400, 'channels must be an array of strings'],
          ] as const,
      ),
    ];
    for (const [what, bytes, close] of refusals) {
      tally.message(bytes);
      await expectClose(target, tally, bytes, close, () => what);
    }
    await greedyInSteps(target, tally, names);
  });
  return tally.outcome;
};

/** The limit counts what a connection already has. */
async function greedyInSteps({ port }: Target, tally: Tally, names: (count: number) => string[]) {
  tally.handshakes += 1;
  const first = names(600);
  const client = new WireClient(port).send(HANDSHAKE, subscribe(first));
  await client.received(first.length);
  client.frames.length = 0;
  client.send(subscribe(names(600)));
  await client.gone;
  tally.check(client.closedWith(...TOO_MANY), () => `600 + 600 channels: ${client.describe()}`);
}

const REQUESTS_PER_CONNECTION = 50;

/** A body of /broadcast and the error that it must get. */
type BadBody = readonly [body: string, error: string];

function badBody(random: Random, json: string): BadBody {
  const signed = (claims: string) => JSON.stringify({ token: signText(claims) });
  const channel = JSON.stringify(random.word(8));
  return random.pick<() => BadBody>([
    () => [`{"token":${json}`, NOT_AN_OBJECT],
    () => [`[${json}]`, NOT_AN_OBJECT],
    () => [random.pick(['', 'null', '1', '"x"', 'token=x', '{}x']), NOT_AN_OBJECT],
    () => [`{"Token":${json}}`, 'token must be a string'],
    () => [`{"token":[${json}]}`, 'token must be a string'],
    () => [`{"token":${JSON.stringify(json)}}`, 'Bad signature'],
    () => [signed(`{"message":{"a":${json}}}`), NO_CHANNEL],
    () => [signed(`{"message":{},"channel":[${json}]}`), NO_CHANNEL],
    () => [signed(`{"message":{},"channel":${random.below(1_000)}}`), NO_CHANNEL],
    () => [signed(`{"channel":${channel},"x":${json}}`), NO_MESSAGE],
    () => [signed(`{"channel":${channel},"message":[${json}]}`), NO_MESSAGE],
    () => [
      signed(`{"channel":${channel},"message":${random.pick(['null', '1', 'true'])}}`),
      NO_MESSAGE,
    ],
    () => [signed(`{"channel":${channel},"message":${JSON.stringify(`x${json}`)}}`), NO_MESSAGE],
    () => [signed(`{"channel":${channel},"message":${JSON.stringify(`[${json}]`)}}`), NO_MESSAGE],
    () => [
      signed(`{"channel":"${random.word(256)}","message":{}}`),
      'channel must be at most 255 characters',
    ],
    () => [
      signed(`{"channel":"${random.word(5)}\\udfff","message":{}}`),
      'channel must be well-formed Unicode',
    ],
  ])();
}

const NOT_AN_OBJECT = 'Body must be a JSON object';
const NO_CHANNEL = 'channel must be a string';
const NO_MESSAGE = 'message must be a JSON object';

/** Every fault of a broadcast, many requests in one packet: each gets its own answer, in order. */
export const malformedBroadcasts: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'broadcasts'));
  const values = randomJson(target, 'broadcasts', times(target, 20_000));
  await inParallel(Math.ceil(values.length / REQUESTS_PER_CONNECTION), 8, async (batch) => {
    const start = batch * REQUESTS_PER_CONNECTION;
    const bodies = values
      .slice(start, start + REQUESTS_PER_CONNECTION)
      .map((json) => badBody(random, json));
    for (const [body] of bodies) tally.message(body);
    const talk = await talkHttp(target.port, Buffer.concat(bodies.map(([body]) => post(body))), {
      replies: bodies.length,
    });
    for (const [index, [body, error]] of bodies.entries()) {
      const reply = talk.replies[index];
      const kept = isError(reply, 400, error);
      tally.check(kept, () => `${error}: ${reply?.status} ${reply?.body} to ${body.slice(0, 80)}`);
    }
  });
  return tally.outcome;
};
