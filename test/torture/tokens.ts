import { Random } from '../support/random.ts';
import { now, sign, signText } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, times } from './attack.ts';
import { authenticate, HANDSHAKE, PING_MESSAGE } from './client-messages.ts';
import { isError, post, sendHttp } from './http-client.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** A token, and how each endpoint must refuse it. */
interface Forgery {
  readonly what: string;
  readonly token: string;
  /** Close code and reason; undefined if it is good for subscribing. */
  readonly subscribing?: readonly [code: number, reason: string];
  /** The error of the 400; undefined if it is good for broadcasting. */
  readonly broadcasting?: string;
}

/** Claims that both endpoints accept, so that only the fault of the token is a reason to refuse it. */
function acceptedClaims(random: Random): Record<string, unknown> {
  const channel = random.word(12);
  return { channels: [channel], channel, message: { hello: random.word(8) }, exp: now() + 60 };
}

function edit(text: string, random: Random): string {
  const at = random.below(text.length);
  const other = random.pick([...'ABCDEFGHabcdefgh0123456789-_'].filter((c) => c !== text[at]));
  return text.slice(0, at) + other + text.slice(at + 1);
}

const FORGERIES: Readonly<Record<string, (random: Random) => string>> = {
  'another secret': (random) => sign(acceptedClaims(random), { secret: random.word(70) }),
  'HS256 with the right secret': (random) =>
    sign(acceptedClaims(random), { header: { alg: 'HS256' } }),
  'HS384 with the right secret': (random) =>
    sign(acceptedClaims(random), { header: { alg: 'HS384' } }),
  'alg none': (random) =>
    sign(acceptedClaims(random), {
      header: { alg: random.pick(['none', 'None', 'nOnE', 'NONE', '', 'RS256', 'ES512', 'hs512']) },
    }),
  'no alg': (random) => sign(acceptedClaims(random), { header: { typ: 'JWT' } }),
  'alg none under a genuine signature': (random) => {
    const [, payload = '', signature] = sign(acceptedClaims(random)).split('.');
    const header = Buffer.from('{"alg":"none"}').toString('base64url');
    return `${header}.${payload}.${random.pick([signature, ''])}`;
  },
  expired: (random) => sign({ ...acceptedClaims(random), exp: now() - 2 - random.below(100_000) }),
  'an exp that is no number': (random) =>
    sign({ ...acceptedClaims(random), exp: random.pick(['soon', '9999999999', {}, [], true]) }),
  'not valid yet': (random) =>
    sign({ ...acceptedClaims(random), nbf: now() + 10 + random.below(1_000) }),
  'an edited payload': (random) => {
    const [header, payload = '', signature] = sign(acceptedClaims(random)).split('.');
    return `${header}.${edit(payload, random)}.${signature}`;
  },
  'another payload': (random) => {
    const [header, , signature] = sign(acceptedClaims(random)).split('.');
    const payload = Buffer.from(JSON.stringify(acceptedClaims(random))).toString('base64url');
    return `${header}.${payload}.${signature}`;
  },
  'an edited header': (random) => {
    const [header = '', payload, signature] = sign(acceptedClaims(random)).split('.');
    return `${edit(header, random)}.${payload}.${signature}`;
  },
  'an edited signature': (random) => {
    const [header, payload, signature = ''] = sign(acceptedClaims(random)).split('.');
    return `${header}.${payload}.${edit(signature, random)}`;
  },
  'a cut signature': (random) => {
    const token = sign(acceptedClaims(random));
    return token.slice(0, -1 - random.below(86));
  },
  'another number of segments': (random) => {
    const [header, payload, signature] = sign(acceptedClaims(random)).split('.');
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
  const kind = random.below(20);
  const exp = now() + 60;
  if (kind === 0) {
    return {
      what: 'a broadcast token',
      token: sign({ channel: random.word(12), message: {}, exp }),
      subscribing: [4400, 'channels must be an array of strings'],
    };
  }
  if (kind === 1) {
    return {
      what: 'a subscription token',
      token: sign({ channels: [random.word(12)], exp }),
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

/** Forged tokens, and genuine ones at the wrong endpoint. */
export const forgedTokens: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'tokens'));
  await inParallel(times(target, 5_000), 64, async () => {
    const { what, token, subscribing, broadcasting } = forge(random);
    results.addMessage(token);
    if (subscribing !== undefined) {
      results.handshakes += 1;
      const bytes = authenticate(token);
      const client = new WireClient(target.port).send(HANDSHAKE, bytes, PING_MESSAGE);
      await client.disconnected;
      results.check(client.closedWith(...subscribing), () => `${what}: ${client.describe()}`);
    }
    if (broadcasting !== undefined) {
      const bytes = post(JSON.stringify({ token }));
      const { replies } = await sendHttp(target.port, bytes, { replies: 1 });
      const [reply] = replies;
      const conforms = isError(reply, 400, broadcasting);
      results.check(conforms, () => `${what}: ${reply?.status} ${reply?.body}`);
    }
  });
  return results.outcome;
};
