import type { Random } from '../support/random.ts';

/** Claims with several broadcasts, without the brace at their start: whoever posts them puts more members first. */
interface LargeBatch {
  readonly what: string;
  readonly openClaims: string;
}

export interface RefusedBatch extends LargeBatch {
  readonly error: string;
}

export interface DeliveredBatch extends LargeBatch {
  /** What a subscriber of `LISTENING` receives. */
  readonly texts: readonly string[];
}

/** The channel to which `deliveredBatches` are posted. */
export const LISTENING = 'listening to batches';

/** A body may have 1.5 MiB, in which base64 leaves room for 1.1 MiB of claims. */
const DEPTH = 100_000;
const WIDTH = 25_000;

const TOTAL = 'broadcasts must have at most 1000 channels in all';
const NO_LIST = 'broadcasts must be an array of objects';
const JTI = 'jti must be a string of 1 to 128 characters';

const ENTRY = '{"channel":"nobody","message":{}}';

function repeat(text: string, count: number): string {
  return Array.from({ length: count }, () => text).join();
}

/** Arrays within arrays. */
const NESTED = `${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`;
const NESTED_OBJECTS = `${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`;

function channels(count: number): string {
  return `{"channels":[${repeat('"nobody"', count)}],"message":{}}`;
}

/** Batches that are too deep, too wide or too long, with the error that each must get. */
export const refusedBatches: readonly RefusedBatch[] = [
  { what: '1,001 entries', openClaims: `"broadcasts":[${repeat(ENTRY, 1_001)}]}`, error: TOTAL },
  { what: '1,001 channels', openClaims: `"broadcasts":[${channels(1_001)}]}`, error: TOTAL },
  {
    what: '1,001 pairs in both forms',
    openClaims: `"broadcasts":[${channels(500)},${ENTRY},${channels(500)}]}`,
    error: TOTAL,
  },
  {
    what: `${WIDTH} entries`,
    openClaims: `"broadcasts":[${repeat(ENTRY, WIDTH)}]}`,
    error: TOTAL,
  },
  { what: '100,000 channels', openClaims: `"broadcasts":[${channels(100_000)}]}`, error: TOTAL },
  {
    what: '1,001 pairs and a wrong jti',
    openClaims: `"broadcasts":[${channels(1_001)}],"jti":""}`,
    error: TOTAL,
  },
  {
    what: `a fault behind ${WIDTH} entries`,
    openClaims: `"broadcasts":[${repeat(ENTRY, WIDTH)},null]}`,
    error: `broadcasts[${WIDTH}] must be an object`,
  },
  {
    what: 'a fault behind 100,000 channels',
    openClaims: `"broadcasts":[${channels(100_000)},{}]}`,
    error: 'broadcasts[1] must have either channel or channels',
  },
  {
    what: 'nested broadcasts',
    openClaims: `"broadcasts":[${NESTED}]}`,
    error: 'broadcasts[0] must be an object',
  },
  {
    what: 'a nested channel',
    openClaims: `"broadcasts":[{"channel":${NESTED},"message":{}}]}`,
    error: 'broadcasts[0].channel must be a string',
  },
  {
    what: 'nested channels',
    openClaims: `"broadcasts":[{"channels":${NESTED},"message":{}}]}`,
    error: 'broadcasts[0].channels must be an array of strings',
  },
  {
    what: 'a nested message that is an array',
    openClaims: `"broadcasts":[${ENTRY},{"channel":"nobody","message":[${NESTED_OBJECTS}]}]}`,
    error: 'broadcasts[1].message must be a JSON object',
  },
  {
    what: 'a nested message that is a string',
    openClaims: `"broadcasts":[{"channel":"nobody","message":"${NESTED}"}]}`,
    error: 'broadcasts[0].message must be a JSON object',
  },
  {
    what: 'a nested history',
    openClaims: `"broadcasts":[{"channel":"nobody","message":{},"history":${NESTED}}]}`,
    error: 'broadcasts[0].history must be true or false',
  },
  { what: 'a nested jti', openClaims: `"broadcasts":[${ENTRY}],"jti":${NESTED}}`, error: JTI },
  {
    what: 'a jti of a megabyte',
    openClaims: `"broadcasts":[${ENTRY}],"jti":"${'x'.repeat(1_000_000)}"}`,
    error: JTI,
  },
  {
    what: 'broadcasts again and again',
    openClaims: `${repeat(`"broadcasts":[${ENTRY}]`, WIDTH / 2)},"\\u0062roadcasts":[]}`,
    error: NO_LIST,
  },
  {
    what: 'a message again and again',
    openClaims: `"broadcasts":[{"channel":"nobody",${repeat('"message":{"a":"}"}', WIDTH)},"\\u006dessage":null}]}`,
    error: 'broadcasts[0].message must be a JSON object',
  },
];

function members(count: number): string {
  return Array.from({ length: count }, (_, index) => `"${index}":[{"message":"]}\\\\\\""}]`).join();
}

/** Batches just as strange that keep to the contract. Each message must arrive as it was signed. */
export function deliveredBatches(random: Random): readonly DeliveredBatch[] {
  const word = `"${random.word(12)}"`;
  const entry = (message: string) => `{"channel":"${LISTENING}","message":${message}}`;
  const small = `{"b":1.0, "0":9007199254740993,"b":${word}}`;
  const deep = `{"deep":${NESTED_OBJECTS},"word":${word}}`;
  const wide = `{${members(WIDTH)},"word":${word}}`;
  const list = `{"channels":[${repeat(`"${LISTENING}"`, 1_000)}],"message":${small}}`;
  return [
    { what: 'a nested message', openClaims: `"broadcasts":[${entry(deep)}]}`, texts: [deep] },
    {
      what: 'a nested message that is a string',
      openClaims: `"broadcasts":[${entry(JSON.stringify(deep))}]}`,
      texts: [deep],
    },
    { what: 'a wide message', openClaims: `"broadcasts":[${entry(wide)}]}`, texts: [wide] },
    {
      what: '1,000 channels',
      openClaims: `"broadcasts":[${list}]}`,
      texts: Array.from({ length: 1_000 }, () => small),
    },
    {
      what: '1,000 entries',
      openClaims: `"broadcasts":[${repeat(entry(small), 1_000)}]}`,
      texts: Array.from({ length: 1_000 }, () => small),
    },
    {
      what: 'broadcasts again and again',
      openClaims: `${repeat('"broadcasts":[null]', WIDTH)},"\\u0062roadcasts":[${entry(small)}],"x":{"broadcasts":[]}}`,
      texts: [small],
    },
    {
      what: 'a message again and again',
      openClaims: `"broadcasts":[{"channel":"${LISTENING}",${repeat('"message":{}', WIDTH)},"mess\\u0061ge":${small}}]}`,
      texts: [small],
    },
    {
      what: 'broadcasts within other claims',
      openClaims: `"x":{"broadcasts":[null]},"__proto__":{"channel":"a"},"broadcasts":[{"x":{"message":{}},"message":${small},"__proto__":[],"channels":["${LISTENING}"]}],"y":[{"broadcasts":1}]}`,
      texts: [small],
    },
  ];
}
