import { Random } from '../test/support/random.ts';

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

function createRows(number: number) {
  const random = new Random(number);
  const rows = Array.from({ length: ROWS }, () => ({
    id: 100_000 + random.below(900_000),
    customer: random.pick(NAMES),
    state: random.pick(STATES),
    total: random.below(1_000_000) / 100,
    updated_at: new Date(1_700_000_000_000 + random.below(2 ** 31)).toISOString(),
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
