import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Channel } from '../../protocol/channel.ts';
import type { MemoryHistory, MemoryHistoryOptions, SavedMessage } from '../history-memory.ts';
import { FileReader } from './file-reader.ts';

/*
 * A saved history is
 * - a line of JSON: the format, the settings, and the state of the history,
 * - a record for each message, oldest first: a head of 24 bytes, the channel and the message in UTF-8,
 * - the SHA-256 of all that.
 * It is written and read in pieces: a history may be larger than any Buffer or string can be.
 */

const FORMAT = 'bifrost history 1';
/** The lengths of channel and message in 4 bytes each, then the two numbers as doubles, which are exact up to 2 ** 53. */
const RECORD_HEAD_BYTES = 24;
const DIGEST_BYTES = 32;
/** The line at the top is shorter. */
const MAX_LINE_BYTES = 1_024;
/** How much is written or read at a time. */
const PIECE_BYTES = 2 ** 20;

/** The text of a file that says only who owns it. */
export function encodeMark(owner: string): string {
  return `${JSON.stringify({ format: FORMAT, owner })}\n`;
}

/** The history in pieces, each good until the next is asked for. */
export function* encodeHistory(history: MemoryHistory): Generator<Buffer> {
  const hash = createHash('sha256');
  const { state, messages } = history.save();
  const line = JSON.stringify({ format: FORMAT, settings: settingsOf(history), ...state });
  let parts: Buffer[] = [Buffer.from(`${line}\n`)];
  let bytes = 0;
  for (const message of messages) {
    const record = encodeRecord(message);
    parts.push(record);
    bytes += record.length;
    if (bytes < PIECE_BYTES) continue;
    const piece = Buffer.concat(parts);
    hash.update(piece);
    yield piece;
    parts = [];
    bytes = 0;
  }
  const last = Buffer.concat(parts);
  yield Buffer.concat([last, hash.update(last).digest()]);
}

function encodeRecord({ channel, message, number, trimmed }: SavedMessage): Buffer {
  const channelBytes = Buffer.byteLength(channel);
  const messageBytes = Buffer.byteLength(message);
  const record = Buffer.allocUnsafe(RECORD_HEAD_BYTES + channelBytes + messageBytes);
  record.writeUInt32LE(channelBytes, 0);
  record.writeUInt32LE(messageBytes, 4);
  record.writeDoubleLE(number, 8);
  record.writeDoubleLE(trimmed, 16);
  record.write(channel, RECORD_HEAD_BYTES);
  record.write(message, RECORD_HEAD_BYTES + channelBytes);
  return record;
}

/**
 * Reads a file of `size` bytes into a history that is new. Resolves to the owner when the file is a mark, and to undefined
 * when it was a history. Rejects when it cannot be used; what the history holds then is to be forgotten.
 */
export async function decodeHistory(
  handle: FileHandle,
  size: number,
  history: MemoryHistory,
): Promise<string | undefined> {
  const start = Buffer.alloc(MAX_LINE_BYTES);
  const { bytesRead } = await handle.read(start, 0, MAX_LINE_BYTES, 0);
  const line = start.subarray(0, start.subarray(0, bytesRead).indexOf('\n') + 1);
  const { epoch, floor, last, owner, settings } = parseTop(line.toString());
  if (owner !== undefined) {
    // It becomes a part of the name of a file.
    if (typeof owner === 'string' && /^[0-9a-f-]{36}$/.test(owner)) return owner;
    throw new Error('it is damaged');
  }
  if (JSON.stringify(settings) !== JSON.stringify(settingsOf(history))) {
    throw new Error('it was written with other HISTORY_* values');
  }
  if (typeof epoch !== 'string' || !isNumber(last) || !isNumber(floor)) {
    throw new Error('it is damaged');
  }
  history.restore({ epoch, last, floor });

  const hash = createHash('sha256').update(line);
  const end = size - DIGEST_BYTES;
  const reader = new FileReader(handle, line.length, end, hash);
  while (reader.bytesLeft > 0) history.restoreMessage(await decodeRecord(reader, history.options));
  const digest = Buffer.alloc(DIGEST_BYTES);
  await handle.read(digest, 0, DIGEST_BYTES, end);
  if (!hash.digest().equals(digest)) throw new Error('its checksum is wrong');
  return undefined;
}

async function decodeRecord(
  reader: FileReader,
  { historyBytes }: MemoryHistoryOptions,
): Promise<SavedMessage> {
  const head = await reader.take(RECORD_HEAD_BYTES);
  const channelBytes = head.readUInt32LE(0);
  const bytes = channelBytes + head.readUInt32LE(4);
  const number = head.readDoubleLE(8);
  const trimmed = head.readDoubleLE(16);
  // A length that is wrong must not take all memory.
  if (bytes > historyBytes) throw new Error('it is damaged');
  const text = await reader.take(bytes);
  return {
    // It was checked when it was broadcast.
    channel: text.toString('utf8', 0, channelBytes) as Channel,
    message: text.toString('utf8', channelBytes),
    number,
    trimmed,
  };
}

function settingsOf({ options }: MemoryHistory): MemoryHistoryOptions {
  const { historyMessages, historyMs, historyBytes } = options;
  return { historyMessages, historyMs, historyBytes };
}

function parseTop(line: string): Readonly<Record<string, unknown>> {
  let top: unknown;
  try {
    top = JSON.parse(line);
  } catch {
    throw new Error('it is not a history');
  }
  const isKnown =
    typeof top === 'object' && top !== null && 'format' in top && top.format === FORMAT;
  if (!isKnown) throw new Error('it is not a history of this version');
  return top as Readonly<Record<string, unknown>>;
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
