import { describe, expect, it } from 'vitest';
import { answer, json } from '../support/answers.ts';
import { startServer } from '../support/server.ts';
import { now, sign, signText } from '../support/tokens.ts';

/** The channel is U+FFFD to whoever decodes it as UTF-8 all the same. */
const LATIN1 = Buffer.from('{"channel":"\xff","message":{}}', 'latin1');

const MESSAGE = { event: 'new_item', data: '{}' };

describe('POST /broadcast refuses', () => {
  const claims = { channel: 'a', message: MESSAGE, exp: now() + 60 };
  const good = sign(claims);
  const [header = '', payload = '', signature = ''] = good.split('.');
  const edited = Buffer.from(JSON.stringify({ ...claims, channel: 'b' })).toString('base64url');

  it.each([
    ['is signed with another secret', sign(claims, { secret: 'x'.repeat(64) })],
    ['has alg HS256 with the right secret', sign(claims, { header: { alg: 'HS256' } })],
    ['has alg HS384 with the right secret', sign(claims, { header: { alg: 'HS384' } })],
    ['has alg none', sign(claims, { header: { alg: 'none' } })],
    ['has alg none and a signature', `${sign(claims, { header: { alg: 'none' } })}${signature}`],
    ['has an unknown alg', sign(claims, { header: { alg: '__proto__' } })],
    ['has an alg that is no string', sign(claims, { header: { alg: ['HS512'] } })],
    ['has expired', sign({ ...claims, exp: now() - 1 })],
    ['has an exp that is no number', sign({ ...claims, exp: 'tomorrow' })],
    ['has an nbf in the future', sign({ ...claims, nbf: now() + 60 })],
    ['is garbage', 'garbage'],
    ['is empty', ''],
    ['has two segments', `${header}.${payload}`],
    ['has four segments', `${good}.${signature}`],
    ['has no signature', `${header}.${payload}.`],
    ['has an edited payload', `${header}.${edited}.${signature}`],
    ['has a payload that is a string', signText('"text"')],
    ['has a payload that is an array', signText('[{"channel":"a"}]')],
    ['has a payload that is null', signText('null')],
    ['has a payload that is a number', signText('1')],
    ['has a payload that is not JSON', signText('{channel')],
    ['has a payload of bytes that are not UTF-8', signText(Buffer.from([0xff, 0xfe, 0x7b, 0x7d]))],
    ['has a channel of bytes that are not UTF-8', signText(LATIN1)],
    [
      'has extensions that must be understood',
      sign(claims, { header: { alg: 'HS512', crit: ['x'], x: 1 } }),
    ],
    [
      'has a payload that is not encoded',
      sign(claims, { header: { alg: 'HS512', crit: ['b64'], b64: false } }),
    ],
    ['has a list of no extensions', sign(claims, { header: { alg: 'HS512', crit: [] } })],
  ])('answers 400 Bad signature when the token %s', async (_, token) => {
    const { post } = await startServer();
    expect(await answer(await post(JSON.stringify({ token })))).toEqual(
      json(400, '{"error":"Bad signature"}'),
    );
  });

  it.each([
    ['not JSON', 'token=x'],
    ['empty', ''],
    ['an array', '[]'],
    ['null', 'null'],
    ['a string', '"x"'],
    ['64 KiB of [', '['.repeat(65_536)],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0xfd])],
  ])('answers 400 when the body is %s', async (_, body) => {
    const { post } = await startServer();
    expect(await answer(await post(body))).toEqual(
      json(400, '{"error":"Body must be a JSON object"}'),
    );
  });

  it.each([
    ['missing', {}],
    ['null', { token: null }],
    ['an object', { token: {} }],
    ['an array', { token: ['x'] }],
    ['inherited', { ['__proto__']: { token: 'x' } }],
  ])('answers 400 when the token is %s', async (_, body) => {
    const { post } = await startServer();
    expect(await answer(await post(JSON.stringify(body)))).toEqual(
      json(400, '{"error":"token must be a string"}'),
    );
  });

  it.each([
    ['missing', undefined, 'channel must be a string'],
    ['null', null, 'channel must be a string'],
    ['a number', 1, 'channel must be a string'],
    ['a list', ['a'], 'channel must be a string'],
    ['too long', 'x'.repeat(256), 'channel must be at most 255 characters'],
    ['too long in UTF-16 units', '🌈'.repeat(128), 'channel must be at most 255 characters'],
  ])('answers 400 when the channel is %s', async (_, channel, error) => {
    const { post } = await startServer();
    const token = sign({ channel, message: MESSAGE });
    expect(await answer(await post(JSON.stringify({ token })))).toEqual(
      json(400, JSON.stringify({ error })),
    );
  });

  it('answers 400 when the channel has a lone surrogate', async () => {
    const { post } = await startServer();
    const token = signText('{"channel":"\\ud800","message":{}}');
    expect(await answer(await post(JSON.stringify({ token })))).toEqual(
      json(400, '{"error":"channel must be well-formed Unicode"}'),
    );
  });

  it('allows a channel as long as MAX_CHANNEL_LENGTH says', async () => {
    const { post } = await startServer({ MAX_CHANNEL_LENGTH: '3' });
    const status = async (channel: string) =>
      (await post(JSON.stringify({ token: sign({ channel, message: {} }) }))).status;
    expect(await status('abc')).toBe(200);
    expect(await status('abcd')).toBe(400);
  });

  it.each([
    ['missing', undefined],
    ['null', null],
    ['a number', 1],
    ['a boolean', true],
    ['an array', [{}]],
    ['an empty string', ''],
    ['a string that is no JSON', 'hello'],
    ['a string with the JSON of an array', '[]'],
    ['a string with the JSON of null', 'null'],
    ['a string with the JSON of a string', '"{}"'],
  ])('answers 400 when the message is %s, subscribed or not', async (_, message) => {
    const { post, connect, stats } = await startServer();
    const token = sign({ channel: 'a', message });
    const expected = json(400, '{"error":"message must be a JSON object"}');

    expect(await answer(await post(JSON.stringify({ token })))).toEqual(expected);
    const client = await (await connect()).subscribe('a');
    expect(await answer(await post(JSON.stringify({ token })))).toEqual(expected);

    await client.ping();
    expect(await stats()).toEqual({ deliveries: 1, connected: 1 });
  });
});
