import { type Attack, inParallel, Random, seedFor, times } from './attack.ts';
import { describeTalk, isError, talkHttp } from './http-wire.ts';
import { Tally } from './tally.ts';
import { HANDSHAKE, handshake, WireClient } from './wire.ts';

/** The server was started with this one allowed. */
export const ALLOWED_ORIGIN = 'https://app.example.com';

interface Refusal {
  readonly what: string;
  readonly bytes: string;
  readonly status: number;
  readonly error: string;
}

const VERSION_ERROR = 'Sec-WebSocket-Version must be 13';
const KEY_ERROR = 'Sec-WebSocket-Key must be 16 bytes in base64';

function foreignVersion(random: Random): Refusal {
  const version = random.pick(['8', '0', '12', '14', '99', '', 'x', '13, 8', '-1', undefined]);
  const fields = { 'Sec-WebSocket-Version': version };
  return {
    what: `version ${version}`,
    bytes: handshake({ fields }),
    status: 426,
    error: VERSION_ERROR,
  };
}

function foreignKey(random: Random): Refusal {
  const key = random.pick([
    undefined,
    '',
    random.word(10),
    `${random.word(23)}=`,
    random.bytes(17).toString('base64'),
    random.bytes(1_000).toString('base64'),
    'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==',
  ]);
  const fields = { 'Sec-WebSocket-Key': key };
  return { what: `key ${key}`, bytes: handshake({ fields }), status: 400, error: KEY_ERROR };
}

function foreignPath(random: Random): Refusal {
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

function foreignOrigin(random: Random): Refusal {
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
  const fields = { Origin: origin };
  return {
    what: `origin ${origin}`,
    bytes: handshake({ fields }),
    status: 403,
    error: 'Origin not allowed',
  };
}

const REFUSALS = [foreignVersion, foreignKey, foreignPath, foreignOrigin];

/** Handshakes that must be refused, each with a whole HTTP answer. */
export const refusedUpgrades: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'upgrades'));
  await inParallel(times(target, 12_000), 64, async () => {
    const { what, bytes, status, error } = random.pick(REFUSALS)(random);
    tally.handshakes += 1;
    const talk = await talkHttp(target.port, bytes);
    const [reply] = talk.replies;
    const kept =
      isError(reply, status, error) &&
      /\bclose$/.test(reply?.headers['connection'] ?? '') &&
      talk.ended &&
      talk.replies.length === 1;
    tally.check(kept, () => `${what}: ${describeTalk(talk)}`);
  });
  return tally.outcome;
};

/** Correct handshakes, many at a time, whose client goes at once; some offer what the server must not take. */
export const upgradeFlood: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'upgrade flood'));
  const generous = Buffer.from(
    handshake({
      fields: {
        Origin: ALLOWED_ORIGIN,
        'Sec-WebSocket-Protocol': 'chat, superchat',
        'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, foo; bar="baz"',
      },
    }),
  );
  await inParallel(times(target, 12_000), 400, async () => {
    tally.handshakes += 1;
    const client = new WireClient(target.port).send(random.pick([HANDSHAKE, generous]));
    const upgraded = await client.upgraded();
    const { headers = {} } = client.reply ?? {};
    const kept =
      upgraded &&
      !('sec-websocket-protocol' in headers) &&
      !('sec-websocket-extensions' in headers);
    tally.check(kept, () => `a correct handshake: ${client.describe()}`);
    if (random.below(2) === 0) client.socket.resetAndDestroy();
    else client.socket.destroy();
    await client.gone;
  });
  return tally.outcome;
};
