import { now, sign, signText } from './tokens.ts';

const claims = { channels: ['a'], exp: now() + 60 };

/** Tokens to subscribe with that are not genuine or not valid now, by what is wrong with them. */
export const BAD_TOKENS: readonly (readonly [fault: string, token: string])[] = [
  ['signed with another secret', sign(claims, { secret: 'x'.repeat(64) })],
  ['with alg HS256', sign(claims, { header: { alg: 'HS256' } })],
  ['with alg none', sign(claims, { header: { alg: 'none' } })],
  ['that has expired', sign({ ...claims, exp: now() - 1 })],
  ['that is not valid yet', sign({ ...claims, nbf: now() + 3_600 })],
  ['whose payload is no object', signText('["a"]')],
  ['with a crit header', sign(claims, { header: { alg: 'HS512', crit: ['exp'] } })],
  ['whose payload is not UTF-8', signText(Buffer.from('{"channels":["\xff"]}', 'latin1'))],
  ['of garbage', 'garbage'],
  ['that is empty', ''],
];

const NO_LIST = 'channels must be an array of strings';

/** Genuine tokens whose channels are at fault, with the close code and its reason. */
export const BAD_CHANNELS: readonly (readonly [
  fault: string,
  token: string,
  code: number,
  reason: string,
])[] = [
  ['missing', sign({}), 4400, NO_LIST],
  ['a string', sign({ channels: 'a' }), 4400, NO_LIST],
  ['null', sign({ channels: null }), 4400, NO_LIST],
  ['an object', sign({ channels: { 0: 'a' } }), 4400, NO_LIST],
  ['partly not strings', sign({ channels: ['a', 1] }), 4400, NO_LIST],
  ['those of a broadcast token', sign({ channel: 'a', message: {} }), 4400, NO_LIST],
  ['partly too long', sign({ channels: ['a', 'x'.repeat(256)] }), 4413, 'Channel name too long'],
  [
    'partly a lone surrogate',
    signText('{"channels":["a","\\udc00"]}'),
    4400,
    'channel must be well-formed Unicode',
  ],
];
