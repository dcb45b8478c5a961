import { now, sign, signText } from '../support/tokens.ts';
import { type Attack, inParallel, Random, seedFor, times } from './attack.ts';
import { isError, post, talkHttp } from './http-wire.ts';
import { Tally } from './tally.ts';
import { authenticate, HANDSHAKE, PING_MESSAGE, WireClient } from './wire.ts';

/** A token and what each door must say to it. */
interface Forgery {
  readonly what: string;
  readonly token: string;
  /** Code and reason of the close frame. */
  readonly subscribing: readonly [code: number, reason: string];
  readonly broadcasting: string;
}

/** Good for both doors, so that only what is wrong with the token can refuse it. */
function goodClaims(random: Random): Record<string, unknown> {
  const channel = random.word(12);
  return { channels: [channel], channel, message: { hello: random.word(8) }, exp: now() + 60 };
}

function edit(text: string, random: Random): string {
  const at = random.below(text.length);
  const other = random.pick([...'ABCDEFGHabcdefgh0123456789-_'].filter((c) => c !== text[at]));
  return text.slice(0, at) + other + text.slice(at + 1);
}

const FORGERIES: Readonly<Record<string, (random: Random) => string>> = {
  'another secret': (random) => sign(goodClaims(random), { secret: random.word(70) }),
  'HS256 with the right secret': (random) => sign(goodClaims(random), { header: { alg: 'HS256' } }),
  'HS384 with the right secret': (random) => sign(goodClaims(random), { header: { alg: 'HS384' } }),
  'alg none': (random) =>
    sign(goodClaims(random), {
      header: { alg: random.pick(['none', 'None', 'nOnE', 'NONE', '', 'RS256', 'ES512', 'hs512']) },
    }),
  'no alg': (random) => sign(goodClaims(random), { header: { typ: 'JWT' } }),
  'alg none under a genuine signature': (random) => {
    const [, payload = '', signature] = sign(goodClaims(random)).split('.');
    const header = Buffer.from('{"alg":"none"}').toString('base64url');
    return `${header}.${payload}.${random.pick([signature, ''])}`;
  },
  expired: (random) => sign({ ...goodClaims(random), exp: now() - 2 - random.below(100_000) }),
  'an exp that is no number': (random) =>
    sign({ ...goodClaims(random), exp: random.pick(['soon', '9999999999', {}, [], true]) }),
  'not valid yet': (random) =>
    sign({ ...goodClaims(random), nbf: now() + 10 + random.below(1_000) }),
  'an edited payload': (random) => {
    const [header, payload = '', signature] = sign(goodClaims(random)).split('.');
    return `${header}.${edit(payload, random)}.${signature}`;
  },
  'another payload': (random) => {
    const [header, , signature] = sign(goodClaims(random)).split('.');
    const payload = Buffer.from(JSON.stringify(goodClaims(random))).toString('base64url');
    return `${header}.${payload}.${signature}`;
  },
  'an edited header': (random) => {
    const [header = '', payload, signature] = sign(goodClaims(random)).split('.');
    return `${edit(header, random)}.${payload}.${signature}`;
  },
  'an edited signature': (random) => {
    const [header, payload, signature = ''] = sign(goodClaims(random)).split('.');
    return `${header}.${payload}.${edit(signature, random)}`;
  },
  'a cut signature': (random) => {
    const token = sign(goodClaims(random));
    return token.slice(0, -1 - random.below(86));
  },
  'another number of segments': (random) => {
    const [header, payload, signature] = sign(goodClaims(random)).split('.');
    return random.pick([
      `${header}.${payload}`,
      `${header}`,
      `${header}.${payload}.${signature}.${signature}`,
      `${header}.${payload}.${signature}.`,
      `.${header}.${payload}.${signature}`,
    ]);
  },
  'a payload that is no object': (random) =>
    signText(
      random.pick([`["${random.word(8)}"]`, `"${random.word(8)}"`, `${random.below(1e6)}`, 'null']),
    ),
  'a payload that is no JSON': (random) => signText(`{"channels":["${random.word(8)}"`),
  garbage: (random) => random.bytes(random.below(300)).toString('base64'),
};

function forge(random: Random): Forgery {
  const door = random.below(20);
  const exp = now() + 60;
  if (door === 0) {
    return {
      what: 'a broadcast token',
      token: sign({ channel: random.word(12), message: {}, exp }),
      subscribing: [4400, 'channels must be an array of strings'],
      // Where it belongs it is good: nobody listens.
      broadcasting: '',
    };
  }
  if (door === 1) {
    return {
      what: 'a subscription token',
      token: sign({ channels: [random.word(12)], exp }),
      subscribing: [0, ''],
      broadcasting: 'channel must be a string',
    };
  }
  const what = random.pick(Object.keys(FORGERIES));
  return {
    what,
    token: FORGERIES[what]?.(random) ?? '',
    subscribing: [4401, 'Not Authorized!'],
    broadcasting: 'Bad signature',
  };
}

/** Every forgery and every token at the wrong door, by websocket and by HTTP. */
export const forgedTokens: Attack = async (target) => {
  const tally = new Tally();
  const random = new Random(seedFor(target, 'tokens'));
  await inParallel(times(target, 5_000), 64, async () => {
    const { what, token, subscribing, broadcasting } = forge(random);
    tally.message(token);
    if (subscribing[0] !== 0) {
      tally.handshakes += 1;
      const bytes = authenticate(token);
      const client = new WireClient(target.port).send(HANDSHAKE, bytes, PING_MESSAGE);
      await client.gone;
      tally.check(client.closedWith(...subscribing), () => `${what}: ${client.describe()}`);
    }
    if (broadcasting !== '') {
      const bytes = post(JSON.stringify({ token }));
      const { replies } = await talkHttp(target.port, bytes, { replies: 1 });
      const [reply] = replies;
      const kept = isError(reply, 400, broadcasting);
      tally.check(kept, () => `${what}: ${reply?.status} ${reply?.body}`);
    }
  });
  return tally.outcome;
};
