/** Every broadcast message of the kind `small` is JSON text of this length. */
export const MESSAGE_BYTES = 128;
/** And of the kind `rows` of this one. */
const ROWS_BYTES = 2_048;

/** `small`: an event with a number. `rows`: a list of records, repetitive as such lists are. */
export type MessageKind = keyof typeof creators;

function createSmall(number: number) {
  const message = { event: 'bench', number: String(number).padStart(9, '0'), text: '' };
  return { ...message, text: 'x'.repeat(MESSAGE_BYTES - JSON.stringify(message).length) };
}

const NAMES = ['Ask', 'Embla', 'Freya', 'Heimdall', 'Idun', 'Loki', 'Njord', 'Sif', 'Tyr', 'Ymir'];
const STATES = ['open', 'paid', 'packed', 'sent', 'delivered', 'returned'];
/** So many are always shorter than the message. */
const ROWS = 18;
const NOTE = 'Leave it with the neighbours when nobody is at home. ';

/** Numbers from 0 to 2³² - 1, the same ones for the same seed: the constants are those of Numerical Recipes. */
function* pseudoRandom(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

function createRows(number: number) {
  const numbers = pseudoRandom(number);
  // The low bits of such numbers repeat soon.
  const below = (limit: number) => Math.floor((numbers.next().value / 2 ** 32) * limit);
  const rows = Array.from({ length: ROWS }, () => ({
    id: 100_000 + below(900_000),
    customer: NAMES[below(NAMES.length)],
    state: STATES[below(STATES.length)],
    total: below(1_000_000) / 100,
    updated_at: new Date(1_700_000_000_000 + below(2 ** 31)).toISOString(),
  }));
  const message = { event: 'orders', data: { rows, note: '' } };
  const missing = ROWS_BYTES - JSON.stringify(message).length;
  return { ...message, data: { rows, note: NOTE.repeat(missing).slice(0, missing) } };
}

const creators = { small: createSmall, rows: createRows };

/** A message unlike that of every other `number`. */
export function createMessage(number: number, kind: MessageKind): unknown {
  return creators[kind](number);
}
