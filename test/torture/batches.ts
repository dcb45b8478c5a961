import { Random } from '../support/random.ts';
import { signText } from '../support/tokens.ts';
import { type Attack, inParallel, seedFor, type Target, times } from './attack.ts';
import { expectErrors, expectErrorsFor } from './broadcasts.ts';
import { HANDSHAKE, subscribe } from './client-messages.ts';
import { describeExchange, post, sendHttp } from './http-client.ts';
import {
  type DeliveredBatch,
  deliveredBatches,
  LISTENING,
  refusedBatches,
} from './large-batches.ts';
import { randomJson } from './random-json.ts';
import { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

const ENTRY = '{"channel":"nobody","message":{}}';

/** Claims, or an entry of the claim `broadcasts`, and the error that it must get. */
type Faulty = readonly [text: string, error: string];

/** A key in JSON. Every now and then one of its characters is escaped, which makes no difference (RFC 8259 §7). */
function key(random: Random, name: string): string {
  const at = random.below(3 * name.length);
  const escaped = `\\u${name.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return at < name.length ? `"${name.slice(0, at)}${escaped}${name.slice(at + 1)}"` : `"${name}"`;
}

/** An entry with one fault, and what follows its place in the error. */
function faultyEntry(random: Random, json: string): Faulty {
  const member = (name: string, value: string) => `${key(random, name)}:${value}`;
  const entry = (...members: readonly string[]) => `{${members.join()}}`;
  const channel = member('channel', `"${random.word(8)}"`);
  const message = member('message', `{"a":${json}}`);
  const list = `[${json}]`;
  const object = `{"a":${json}}`;
  const noString = random.pick([list, object, 'null', '1', 'true']);
  const noObject = random.pick([
    list,
    JSON.stringify(list),
    JSON.stringify(`x${json}`),
    'null',
    '1',
  ]);
  const noList = random.pick([object, JSON.stringify(list), '[]', 'null', '1']);
  const noBoolean = random.pick([list, object, 'null', '0', '"false"']);
  const longName = `"${random.word(256)}"`;
  const brokenName = `"${random.word(5)}\\udfff"`;
  const listOf = (name: string) => member('channels', `["nobody",${name}]`);
  return random.pick<() => Faulty>([
    () => [noObject, ' must be an object'],
    () => [entry(message), NO_CHANNEL],
    () => [entry(message, `"__proto__":{"channel":${json}}`), NO_CHANNEL],
    () => [entry(channel, member('channels', json), message), NO_CHANNEL],
    () => [entry(member('channels', '["a"]'), member('channel', 'null'), message), NO_CHANNEL],
    () => [entry(member('channel', noString), message), '.channel must be a string'],
    () => [entry(channel, member('channel', noString), message), '.channel must be a string'],
    () => [entry(member('channel', longName), message), TOO_LONG],
    () => [entry(listOf(longName), message), TOO_LONG],
    () => [entry(member('channel', brokenName), message), BROKEN],
    () => [entry(listOf(brokenName), message), BROKEN],
    () => [entry(member('channels', noList), message), NO_LIST],
    () => [entry(listOf(noString), message), NO_LIST],
    () => [entry(channel, `"x":${json}`), NO_MESSAGE],
    () => [entry(channel, member('message', noObject)), NO_MESSAGE],
    () => [entry(channel, message, member('message', noObject)), NO_MESSAGE],
    () => [entry(channel, message, member('history', noBoolean)), NO_HISTORY],
    () => [entry(member('history', noBoolean), channel, message), NO_HISTORY],
  ])();
}

const NO_CHANNEL = ' must have either channel or channels';
const TOO_LONG = '.channel must be at most 255 characters';
const BROKEN = '.channel must be well-formed Unicode';
const NO_LIST = '.channels must be an array of strings';
const NO_MESSAGE = '.message must be a JSON object';
const NO_HISTORY = '.history must be true or false';

/** Claims that are at fault in one of their entries, or above them. */
function faultyClaims(random: Random, json: string): Faulty {
  const broadcasts = key(random, 'broadcasts');
  const jti = key(random, 'jti');
  return random.pick<() => Faulty>([
    ...Array.from({ length: 6 }, () => () => {
      const [entry, error] = faultyEntry(random, json);
      const index = random.below(5);
      // What is wrong behind it does not count, and neither does the jti.
      const entries = [...Array.from({ length: index }, () => ENTRY), entry, json];
      return [
        `{${jti}:${json},${broadcasts}:[${entries}]}`,
        `broadcasts[${index}]${error}`,
      ] as const;
    }),
    () => {
      const other = key(random, random.pick(['channel', 'channels', 'message']));
      const text = `{${other}:${json},${broadcasts}:[${ENTRY}]}`;
      return [text, 'A token has either broadcasts or channel and message'];
    },
    () => {
      const noList = random.pick([
        '[]',
        '{}',
        'null',
        '1',
        `"[${random.word(4)}]"`,
        `{"0":${json}}`,
      ]);
      const repeated = random.pick([`"broadcasts":[${ENTRY}],`, `"x":${json},`]);
      return [`{${repeated}${broadcasts}:${noList}}`, 'broadcasts must be an array of objects'];
    },
    () => {
      const noJti = random.pick([
        ...['""', 'null', '1', `[${json}]`, `{"a":${json}}`, '"\\ud800"'],
        `"${random.word(129 + random.below(20_000))}"`,
      ]);
      const repeated = random.pick(['"jti":"a",', `"x":${json},`]);
      const text = `{${repeated}${jti}:${noJti},${broadcasts}:[${ENTRY}]}`;
      return [text, 'jti must be a string of 1 to 128 characters'];
    },
  ])();
}

function body(claims: string): string {
  return JSON.stringify({ token: signText(claims) });
}

/** Puts a member first, so that no two messages are the same. */
function complete(random: Random, openClaims: string): string {
  return `{"nonce":"${random.word(8)}",${openClaims}`;
}

/** Posts a batch that keeps to the contract. Its messages must arrive whole and in order. */
async function expectDelivered(
  { port }: Target,
  results: ResultCollector,
  client: WireClient,
  { what, openClaims, texts }: DeliveredBatch,
  random: Random,
): Promise<void> {
  client.frames.length = 0;
  const request = body(complete(random, openClaims));
  results.addMessage(request);
  const exchange = await sendHttp(port, post(request), { replies: 1 });
  await client.received(texts.length);
  const sent = JSON.parse(exchange.replies[0]?.body ?? '{}') as { deliveries?: number };
  const conforms = sent.deliveries === texts.length && client.texts.join() === texts.join();
  results.check(conforms, () => `${what}: ${describeExchange(exchange)} ${client.describe()}`);
}

/** Requests with several broadcasts: each part of them of a wrong type, and all of them too deep, wide or long. */
export const hostileBatches: Attack = async (target) => {
  const results = new ResultCollector();
  const random = new Random(seedFor(target, 'batches'));
  const values = randomJson(target, 'batches', times(target, 10_000));
  await expectErrorsFor(target, results, values, (json) => {
    const [claims, error] = faultyClaims(random, json);
    return [body(claims), error];
  });

  await inParallel(refusedBatches.length * times(target, 20), 2, async (index) => {
    const refused = refusedBatches[index % refusedBatches.length];
    if (refused === undefined) return;
    const request = body(complete(random, refused.openClaims));
    await expectErrors(target, results, [[request, refused.error]]);
  });

  results.handshakes += 1;
  const client = new WireClient(target.port).send(HANDSHAKE, subscribe([LISTENING]));
  await client.received(1);
  for (let repetition = times(target, 20); repetition > 0; repetition -= 1) {
    for (const batch of deliveredBatches(random)) {
      await expectDelivered(target, results, client, batch, random);
    }
  }
  client.socket.destroy();
  await client.disconnected;
  return results.outcome;
};
