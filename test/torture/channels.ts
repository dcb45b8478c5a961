import { Random } from '../support/random.ts';
import { sign, signText } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import { authenticate, HANDSHAKE, subscribe, subscribedText } from './client-messages.ts';
import { expectClose } from './expect-close.ts';
import { describeExchange, post, sendHttp } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

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

/** Channel names that are hard to handle. Each must be a channel of its own, be confirmed and receive its message. */
export const strangeNames: Attack = async (target) => {
  const results = new ResultCollector();
  results.handshakes += 1;
  const client = new WireClient(target.port).send(HANDSHAKE, subscribe(NAMES));
  await client.received(NAMES.length);
  const confirmed = client.texts.join() === NAMES.map(subscribedText).join();
  results.check(confirmed, () => `strange names: ${client.describe()}`, NAMES.length);

  for (const channel of NAMES) {
    client.frames.length = 0;
    const message = { channel, round: target.round };
    results.addMessage(JSON.stringify(message));
    const exchange = await sendHttp(
      target.port,
      post(JSON.stringify({ token: sign({ channel, message }) })),
      { replies: 1 },
    );
    await client.received(1);
    const conforms =
      exchange.replies[0]?.body === '{"message":"Success","deliveries":1}' &&
      client.texts.join() === JSON.stringify(message);
    results.check(
      conforms,
      () => `${JSON.stringify(channel)}: ${describeExchange(exchange)} ${client.describe()}`,
    );
  }
  client.socket.destroy();
  await client.disconnected;
  return results.outcome;
};

const TOO_MANY = [4413, 'Too many channels'] as const;

/** Genuine tokens for more than the limits allow. The server must subscribe to none of their channels. */
export const greedyTokens: Attack = async (target) => {
  const results = new ResultCollector();
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
      results.addMessage(bytes);
      await expectClose(target, results, bytes, close, () => what);
    }
    await expectLimitPerConnection(target, results, names);
  });
  return results.outcome;
};

/** The limit is for all tokens of a connection together. */
async function expectLimitPerConnection(
  { port }: Target,
  results: ResultCollector,
  names: (count: number) => string[],
) {
  results.handshakes += 1;
  const first = names(600);
  const client = new WireClient(port).send(HANDSHAKE, subscribe(first));
  await client.received(first.length);
  client.frames.length = 0;
  client.send(subscribe(names(600)));
  await client.disconnected;
  results.check(client.closedWith(...TOO_MANY), () => `600 + 600 channels: ${client.describe()}`);
}
