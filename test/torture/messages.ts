import { clientFrame } from '../support/client-frame.ts';
import { Random } from '../support/random.ts';
import { type Attack, inParallel, seedFor, times } from './attack.ts';
import { authenticate, HANDSHAKE, PING_MESSAGE, PONG_TEXT } from './client-messages.ts';
import { expectClose } from './expect-close.ts';
import { randomJson } from './random-json.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

const MAX_MESSAGE_BYTES = 65_536;

/** Texts that are not JSON objects. */
const INVALID_MESSAGES = [
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

/** Values of `data` that are not tokens. */
const INVALID_TOKENS = [
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

const INVALID_MESSAGE = [4400, 'Invalid message'] as const;
const NOT_AUTHORIZED = [4401, 'Not Authorized!'] as const;

/** Messages that are not JSON objects, and authentications without a token. The server must close at once. */
export const malformedMessages: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'malformed'));
  const texts = [
    ...INVALID_MESSAGES,
    ...randomJson(target, 'no objects', times(target, 8_000)).map((json, index) =>
      // An incomplete object, an array, or a value with something behind it.
      random.pick([`{"${index}":${json}`, `[${index},${json}]`, `${json} ${random.word(12)}`]),
    ),
  ];
  await inParallel(texts.length, 64, async (index) => {
    const text = texts[index] as string;
    results.addMessage(text);
    await expectClose(target, results, clientFrame(text), INVALID_MESSAGE, () => text.slice(0, 80));
  });

  const tokens: unknown[] = [...INVALID_TOKENS];
  for (let index = 0; index < times(target, 2_000); index += 1) {
    tokens.push(Array.from({ length: 1 + random.below(5) }, () => random.word(30)).join('.'));
  }
  await inParallel(tokens.length, 64, async (index) => {
    const bytes = authenticate(tokens[index]);
    results.addMessage(bytes);
    await expectClose(target, results, bytes, NOT_AUTHORIZED, () => `token ${tokens[index]}`);
  });
  return results.outcome;
};

/** Objects without an event that the server knows. */
const IGNORED_MESSAGES = [
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

/** Text and binary messages without an event that the server knows. It must not answer, and go on. */
export const ignoredMessages: Attack = async (target) => {
  const results = new ResultCollector();
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
    messages.push(...IGNORED_MESSAGES);
    const frames = messages.map((text) => {
      results.addMessage(text);
      return clientFrame(text, {
        mask: random.bytes(4),
        first: random.below(10) === 0 ? 0x82 : 0x81,
      });
    });
    // A fence: only the answer to this ping may arrive.
    frames.push(PING_MESSAGE);
    results.handshakes += 1;
    const client = new WireClient(target.port).send(HANDSHAKE, ...frames);
    await client.received(1);
    const conforms = client.texts.join() === PONG_TEXT && client.close === undefined;
    results.check(conforms, () => `ignored messages: ${client.describe()}`, messages.length);
    client.socket.destroy();
    await client.disconnected;
  });
  return results.outcome;
};
