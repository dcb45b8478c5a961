import { handshake } from '../support/handshake.ts';
import { Random } from '../support/random.ts';
import { type Attack, inParallel, seedFor, times } from './attack.ts';
import { HANDSHAKE } from './client-messages.ts';
import { describeExchange, isError, sendHttp } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** The only origin that the server allows. */
export const ALLOWED_ORIGIN = 'https://app.example.com';

interface Refusal {
  readonly what: string;
  readonly bytes: string;
  readonly status: number;
  readonly error: string;
}

const VERSION_ERROR = 'Sec-WebSocket-Version must be 13';
const KEY_ERROR = 'Sec-WebSocket-Key must be 16 bytes in base64';

function wrongVersion(random: Random): Refusal {
  const version = random.pick(['8', '0', '12', '14', '99', '', 'x', '13, 8', '-1', undefined]);
  const headers = { 'Sec-WebSocket-Version': version };
  return {
    what: `version ${version}`,
    bytes: handshake({ headers }),
    status: 426,
    error: VERSION_ERROR,
  };
}

function wrongKey(random: Random): Refusal {
  const key = random.pick([
    undefined,
    '',
    random.word(10),
    `${random.word(23)}=`,
    random.bytes(17).toString('base64'),
    random.bytes(1_000).toString('base64'),
    'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==',
  ]);
  const headers = { 'Sec-WebSocket-Key': key };
  return { what: `key ${key}`, bytes: handshake({ headers }), status: 400, error: KEY_ERROR };
}

function wrongPath(random: Random): Refusal {
  const path = random.pick([
    '/',
    '/broadcast',
    '/info.json',
    '/healthz',
    '//subscribe',
    '/subscribe//',
    '/Subscribe',
    '/subscribe/../subscribe',
    '/%73ubscribe',
    `/${random.word(20)}`,
    `/ping?channel=${random.word(5)}&message=%7B%7D`,
  ]);
  return { what: `path ${path}`, bytes: handshake({ path }), status: 404, error: 'Not found' };
}

function wrongOrigin(random: Random): Refusal {
  const origin = random.pick([
    'null',
    `https://${random.word(8)}.example.com`,
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'https://evilapp.example.com',
    'file://',
    random.word(12),
  ]);
  const headers = { Origin: origin };
  return {
    what: `origin ${origin}`,
    bytes: handshake({ headers }),
    status: 403,
    error: 'Origin not allowed',
  };
}

const REFUSALS = [wrongVersion, wrongKey, wrongPath, wrongOrigin];

/** Handshakes that the server must refuse, each with a complete HTTP answer. */
export const refusedUpgrades: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'upgrades'));
  await inParallel(times(target, 12_000), 64, async () => {
    const { what, bytes, status, error } = random.pick(REFUSALS)(random);
    results.handshakes += 1;
    const exchange = await sendHttp(target.port, bytes);
    const [reply] = exchange.replies;
    const conforms =
      isError(reply, status, error) &&
      /\bclose$/.test(reply?.headers['connection'] ?? '') &&
      exchange.ended &&
      exchange.replies.length === 1;
    results.check(conforms, () => `${what}: ${describeExchange(exchange)}`);
  });
  return results.outcome;
};

/** Correct handshakes, many at a time. The clients disconnect at once. Some offer what the server must not accept. */
export const upgradeFlood: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'upgrade flood'));
  const withOffers = Buffer.from(
    handshake({
      headers: {
        Origin: ALLOWED_ORIGIN,
        'Sec-WebSocket-Protocol': 'chat, superchat',
        'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, foo; bar="baz"',
      },
    }),
  );
  await inParallel(times(target, 12_000), 400, async () => {
    results.handshakes += 1;
    const client = new WireClient(target.port).send(random.pick([HANDSHAKE, withOffers]));
    const upgraded = await client.upgraded();
    const { headers = {} } = client.reply ?? {};
    const conforms =
      upgraded &&
      !('sec-websocket-protocol' in headers) &&
      !('sec-websocket-extensions' in headers);
    results.check(conforms, () => `a correct handshake: ${client.describe()}`);
    if (random.below(2) === 0) client.socket.resetAndDestroy();
    else client.socket.destroy();
    await client.disconnected;
  });
  return results.outcome;
};
