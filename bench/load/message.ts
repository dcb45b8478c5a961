import { Random } from '../../test/support/random.ts';

/** The length of each `small` message as JSON text. */
export const MESSAGE_BYTES = 128;
/** The length of each `rows` message as JSON text. */
const ROWS_BYTES = 2_048;

/** `small`: an event with a number. `rows`: a list of records, which compresses as well as such lists do. */
export type MessageKind = keyof typeof creators;

function createSmall(number: number) {
  const message = { event: 'bench', number: String(number).padStart(9, '0'), text: '' };
  return { ...message, text: 'x'.repeat(MESSAGE_BYTES - JSON.stringify(message).length) };
}

const NAMES = ['Ask', 'Embla', 'Freya', 'Heimdall', 'Idun', 'Loki', 'Njord', 'Sif', 'Tyr', 'Ymir'];
const STATES = ['open', 'paid', 'packed', 'sent', 'delivered', 'returned'];
/** Few enough to leave room for the note in every message. */
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

/** The message with this number. It differs from that of every other number. */
export function createMessage(number: number, kind: MessageKind): unknown {
  return creators[kind](number);
}
