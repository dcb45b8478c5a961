import { POSITION_PATTERN } from '../../protocol/position.ts';
import { NUMBER_PATTERN } from '../batch-results.ts';
import type { BusListener, BusRecovery, BusRecoveryRequest } from '../bus.ts';
import type { GapReason } from '../history.ts';

/** A request that has not been answered yet. */
interface Expected {
  readonly request: BusRecoveryRequest;
  readonly missed: { readonly index: number; readonly number: number; readonly message: string }[];
}

// As the scripts write them.
const TICK = new RegExp(`^t (${POSITION_PATTERN.source})$`);
const MISSED = new RegExp(`^r (${NUMBER_PATTERN}) (${NUMBER_PATTERN}) ([0-9]{1,16}) `);
const DONE = new RegExp(`^d (${NUMBER_PATTERN}) (${POSITION_PATTERN.source}) ([a-z0-9,]*)$`);
const VERDICT = new RegExp(`^(?:(${NUMBER_PATTERN})|epoch|future|age|messages|limit)$`);

export type HistoryListener = Pick<BusListener, 'reached' | 'recovered'>;

/** Reads what the scripts publish to the topic of a session. */
export class HistoryTexts {
  readonly #expected = new Map<number, Expected>();
  #onTick = () => {};

  /** To be called before the script is run that answers the request. */
  expect(id: number, request: BusRecoveryRequest): void {
    this.#expected.set(id, { request, missed: [] });
  }

  /** The request is not going to be answered. */
  forget(id: number): void {
    this.#expected.delete(id);
  }

  /** Resolves when the next position of now has come. */
  nextTick(): Promise<void> {
    return new Promise((resolve) => {
      this.#onTick = resolve;
    });
  }

  /** Tells the listener in the same step. False when no script of ours can have published the text. */
  receive(text: string, listener: HistoryListener): boolean {
    const [, position] = TICK.exec(text) ?? [];
    if (position !== undefined) {
      listener.reached(position);
      this.#onTick();
      return true;
    }
    return this.#receiveMissed(text) || this.#receiveDone(text, listener);
  }

  #receiveMissed(text: string): boolean {
    const [header, id, index, number] = MISSED.exec(text) ?? [];
    const expected = this.#expected.get(Number(id));
    if (header === undefined || expected === undefined) return false;
    const message = text.slice(header.length);
    expected.missed.push({ index: Number(index), number: Number(number), message });
    return true;
  }

  #receiveDone(text: string, listener: HistoryListener): boolean {
    const [, digits, position = '', list = ''] = DONE.exec(text) ?? [];
    const id = Number(digits);
    const expected = this.#expected.get(id);
    if (expected === undefined) return false;
    const { request, missed } = expected;
    const verdicts = parseVerdicts(list, request);
    if (verdicts === undefined) return false;
    this.#expected.delete(id);
    const epoch = position.slice(0, position.indexOf('.'));
    const publications: BusRecovery['publications'] = missed
      .sort((one, other) => one.number - other.number)
      .map(({ index, number, message }) => ({ index, position: `${epoch}.${number}`, message }));
    listener.recovered(id, { position, verdicts, publications });
    return true;
  }
}

/** Undefined when the list is not one for this request. */
function parseVerdicts(
  list: string,
  { since, topics }: BusRecoveryRequest,
): (number | GapReason)[] | undefined {
  if (since === null) return list === '' ? [] : undefined;
  // Nobody was asked about a position that is none.
  if (list === '') return topics.map(() => 'malformed');
  const texts = list.split(',');
  if (texts.length !== topics.length) return undefined;
  const verdicts: (number | GapReason)[] = [];
  for (const text of texts) {
    const match = VERDICT.exec(text);
    if (match === null) return undefined;
    verdicts.push(match[1] === undefined ? (text as GapReason) : Number(text));
  }
  return verdicts;
}
