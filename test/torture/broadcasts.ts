import { Random } from '../support/random.ts';
import { signText } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import { isError, post, sendHttp } from './http-client.ts';
import { randomJson } from './random-json.ts';
import { ResultCollector } from './result-collector.ts';

const REQUESTS_PER_CONNECTION = 50;

/** A body of `POST /broadcast` and the error that it must get. */
export type InvalidBody = readonly [body: string, error: string];

/** Posts an invalid broadcast made of each JSON text, many pipelined on one connection. */
export async function expectErrorsFor(
  target: Target,
  results: ResultCollector,
  jsons: readonly string[],
  toBody: (json: string) => InvalidBody,
): Promise<void> {
  await inParallel(Math.ceil(jsons.length / REQUESTS_PER_CONNECTION), 8, async (part) => {
    const start = part * REQUESTS_PER_CONNECTION;
    const bodies = jsons.slice(start, start + REQUESTS_PER_CONNECTION).map(toBody);
    await expectErrors(target, results, bodies);
  });
}

/** Posts invalid broadcasts, pipelined on one connection. Each must get its own error, in order. */
export async function expectErrors(
  { port }: Target,
  results: ResultCollector,
  bodies: readonly InvalidBody[],
): Promise<void> {
  for (const [body] of bodies) results.addMessage(body);
  const exchange = await sendHttp(port, Buffer.concat(bodies.map(([body]) => post(body))), {
    replies: bodies.length,
  });
  for (const [index, [body, error]] of bodies.entries()) {
    const reply = exchange.replies[index];
    const conforms = isError(reply, 400, error);
    results.check(
      conforms,
      () => `${error}: ${reply?.status} ${reply?.body} to ${body.slice(0, 80)}`,
    );
  }
}

function invalidBody(random: Random, json: string): InvalidBody {
  const signed = (claims: string) => JSON.stringify({ token: signText(claims) });
  const channel = JSON.stringify(random.word(8));
  return random.pick<() => InvalidBody>([
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

/** Invalid broadcasts, many pipelined in one packet. */
export const malformedBroadcasts: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'broadcasts'));
  const values = randomJson(target, 'broadcasts', times(target, 20_000));
  await expectErrorsFor(target, results, values, (json) => invalidBody(random, json));
  return results.outcome;
};
