import { POSITION_PATTERN } from '../../protocol/position.ts';
import { NUMBER_PATTERN } from '../batch-results.ts';

/** A broadcast on its way to the nodes: `node id message`. */
export interface SentBroadcast {
  /** The node that published it and waits for an answer. */
  readonly node: string;
  /** The survey that the answer belongs to. */
  readonly id: number;
  /** The JSON text that subscribers receive. */
  readonly message: string;
  /** Whether it was published through a history in Redis. */
  readonly isFromHistory: boolean;
}

/**
 * A broadcast of a batch on its way to the nodes: `node id:index message`, or `node id:index@position message`. From a
 * history in Redis it has the sign also when it has no position.
 */
export interface SentBatchItem extends SentBroadcast {
  /** Its place in the batch. */
  readonly index: number;
  /** Undefined when it is not kept. */
  readonly position: string | undefined;
}

/** What one node answers to some of a batch: `id index:number`, with as many pairs as it has counted. */
export interface BatchAnswer {
  readonly id: number;
  readonly counts: readonly BatchCount[];
}

/** To how many sockets one broadcast of a batch was handed. */
export interface BatchCount {
  readonly index: number;
  readonly deliveries: number;
}

/** A node's request for the counters of all: `node id`. */
export interface StatsRequest {
  readonly node: string;
  readonly id: number;
}

/** What one node answers: `id number`, or with as many numbers as the request asks for. */
export interface Answer {
  readonly id: number;
  readonly numbers: readonly number[];
}

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const INDEX = '(?:0|[1-9][0-9]{0,2})';
const BROADCAST_HEADER = new RegExp(
  `^(${UUID}) (${NUMBER_PATTERN})(?::(${INDEX})(@(${POSITION_PATTERN.source})?)?)? `,
);
const STATS_REQUEST = new RegExp(`^(${UUID}) (${NUMBER_PATTERN})$`);
const ANSWER = new RegExp(`^${NUMBER_PATTERN}(?: ${NUMBER_PATTERN}){1,8}$`);
const BATCH_ANSWER = new RegExp(`^${NUMBER_PATTERN}(?: ${INDEX}:${NUMBER_PATTERN}){1,1000}$`);

export function encodeBroadcast(node: string, id: number, message: string): string {
  return `${node} ${id} ${message}`;
}

/** What `batchText` puts before the index and the message of each broadcast of a batch. */
export function encodeBatchHead(node: string, id: number): string {
  return `${node} ${id}`;
}

export function encodeBatchAnswer(id: number, counts: readonly BatchCount[]): string {
  return `${id} ${counts.map(({ index, deliveries }) => `${index}:${deliveries}`).join(' ')}`;
}

export function encodeStatsRequest(node: string, id: number): string {
  return `${node} ${id}`;
}

export function encodeAnswer(id: number, numbers: readonly number[]): string {
  return `${id} ${numbers.join(' ')}`;
}

/** Undefined when no node of ours can have written the text. Never throws. */
export function parseBroadcast(text: string): SentBroadcast | SentBatchItem | undefined {
  const header = BROADCAST_HEADER.exec(text);
  if (header === null) return undefined;
  const [{ length }, node = '', id, index, sign, position] = header;
  const message = text.slice(length);
  if (!isBraced(message)) return undefined;
  const broadcast = { node, id: Number(id), message, isFromHistory: sign !== undefined };
  return index === undefined ? broadcast : { ...broadcast, index: Number(index), position };
}

/** Undefined when no node of ours can have written the text. Never throws. */
export function parseStatsRequest(text: string): StatsRequest | undefined {
  const [, node = '', id] = STATS_REQUEST.exec(text) ?? [];
  return id === undefined ? undefined : { node, id: Number(id) };
}

/** Undefined when no node of ours can have written the text. Never throws. */
export function parseAnswer(text: string): Answer | undefined {
  if (!ANSWER.test(text)) return undefined;
  const [id = 0, ...numbers] = text.split(' ').map(Number);
  return { id, numbers };
}

/** Undefined when no node of ours can have written the text. Never throws. */
export function parseBatchAnswer(text: string): BatchAnswer | undefined {
  if (!BATCH_ANSWER.test(text)) return undefined;
  const [id, ...counts] = text.split(' ');
  return {
    id: Number(id),
    counts: counts.map((each) => {
      const [index, deliveries] = each.split(':').map(Number);
      return { index: index ?? 0, deliveries: deliveries ?? 0 };
    }),
  };
}

/**
 * Whether the text may be a JSON object, judged by its ends. The node that published it has parsed the whole text, and
 * who can imitate the header can as well write JSON: parsing again in every node would cost more than handing the
 * message out, and stop nobody.
 */
function isBraced(text: string): boolean {
  let start = 0;
  let end = text.length - 1;
  while (isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end))) end -= 1;
  return start < end && text[start] === '{' && text[end] === '}';
}

/** JSON white space (RFC 8259 §2): a `message` that was signed as a string may be padded with it. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
