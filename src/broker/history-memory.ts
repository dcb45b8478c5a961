import type { Channel } from '../protocol/channel.ts';
import { encodePosition, type Position, parsePosition } from '../protocol/position.ts';
import type { Publication } from '../protocol/publishing.ts';
import { createEpoch } from './epoch.ts';
import type {
  GapReason,
  HistoryStats,
  KeptPublication,
  Recovery,
  RecoveryRequest,
} from './history.ts';
import { copyText, OwnTexts } from './own-texts.ts';

/** What an entry counts beside the bytes of its message and its channel. */
const ENTRY_BYTES = 256;

/** A message that would take a larger share of all that may be kept is not kept. */
const MAX_SHARE = 1 / 4;

export interface MemoryHistoryOptions {
  /** How many messages are kept per channel. */
  readonly historyMessages: number;
  /** How long, in milliseconds. */
  readonly historyMs: number;
  /** How many bytes all channels may take together, each message counted with its channel and 256 more. */
  readonly historyBytes: number;
}

/** A kept message, in two lists: that of all by age, and that of its channel. Both are in the order of the positions. */
interface Entry {
  readonly record: ChannelRecord;
  /** Undefined for a message that was too large to keep, so that its channel has a gap. */
  readonly message: string | undefined;
  readonly number: number;
  readonly bytes: number;
  older: Entry | undefined;
  newer: Entry | undefined;
  olderOfChannel: Entry | undefined;
  newerOfChannel: Entry | undefined;
}

/** What is kept of one channel. It goes with its last entry. */
interface ChannelRecord {
  readonly channel: Channel;
  oldest: Entry | undefined;
  newest: Entry | undefined;
  entries: number;
  /** The number of the newest entry that was dropped because the channel had too many. */
  trimmed: number;
}

/**
 * The newest broadcasts of each channel in the memory of this process, and the positions of all. Every operation but
 * `recover` takes the same time however much is kept.
 */
export class MemoryHistory implements HistoryStats {
  readonly #maxMessages: number;
  readonly #maxAge: number;
  readonly #maxBytes: number;
  readonly #now: () => number;
  #epoch = createEpoch();
  /** The highest number that was given so far. */
  #last = 0;
  /** The highest number that was dropped by age or bytes: whoever has not come that far may have missed something. */
  #floor = 0;
  readonly #records = new Map<Channel, ChannelRecord>();
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #entries = 0;
  #bytes = 0;
  readonly #texts = new OwnTexts();

  /** `now` is the clock, in microseconds since 1970. It must not go back. */
  constructor(
    { historyMessages, historyMs, historyBytes }: MemoryHistoryOptions,
    now: () => number = monotonicNow,
  ) {
    this.#maxMessages = historyMessages;
    this.#maxAge = historyMs * 1_000;
    this.#maxBytes = historyBytes;
    this.#now = now;
  }

  get entries(): number {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Channels of which something is kept. */
  get channels(): number {
    return this.#records.size;
  }

  /** The position of now: that of everything so far is lower or the same, and that of everything later is higher. */
  position(): string {
    this.#last = Math.max(this.#clock(), this.#last);
    return encodePosition({ epoch: this.#epoch, number: this.#last });
  }

  /** Gives the publication its position, and keeps it unless it says otherwise. */
  add({ channel, message, isKept }: Publication): string {
    this.#last = Math.max(this.#clock(), this.#last + 1);
    if (isKept !== false) this.#keep(channel, message, this.#last);
    return encodePosition({ epoch: this.#epoch, number: this.#last });
  }

  /** Drops what is too old. Called from time to time, so that nothing is kept longer when nobody asks for it. */
  expire(): void {
    const limit = this.#clock() - this.#maxAge;
    while (this.#oldest !== undefined && this.#oldest.number < limit) this.#dropOldest();
  }

  /** What was missed since a position, of channels of which all that was missed is still there. */
  recover(request: RecoveryRequest): Recovery {
    this.expire();
    const now = this.position();
    if (request.since === null) return { position: now, verdicts: [], publications: [] };

    const since = parsePosition(request.since);
    const found: Entry[] = [];
    let { maxBytes } = request;
    const verdicts = request.channels.map((channel) => {
      const gap = this.#findGap(channel, since);
      if (gap !== undefined) return gap;
      const missed = this.#findMissed(channel, since?.number ?? 0, {
        messages: request.maxMessages - found.length,
        bytes: maxBytes,
      });
      if (missed === undefined) return 'limit';
      found.push(...missed.entries);
      maxBytes -= missed.bytes;
      return missed.entries.length;
    });
    found.sort((a, b) => a.number - b.number);
    return {
      position: now,
      verdicts,
      publications: found.map((entry) => this.#publicationOf(entry)),
    };
  }

  /** Entries count by the time of their position, so a position itself is as old as the message it came with. */
  #findGap(channel: Channel, since: Position | undefined): GapReason | undefined {
    if (since === undefined) return 'malformed';
    if (since.epoch !== this.#epoch) return 'epoch';
    if (since.number > this.#last) return 'future';
    if (since.number < this.#floor) return 'age';
    const trimmed = this.#records.get(channel)?.trimmed ?? 0;
    return since.number < trimmed ? 'messages' : undefined;
  }

  /** The channel's entries after `since`, or undefined when they are more than the limits allow. */
  #findMissed(
    channel: Channel,
    since: number,
    max: { readonly messages: number; readonly bytes: number },
  ): { readonly entries: Entry[]; readonly bytes: number } | undefined {
    const entries: Entry[] = [];
    let bytes = 0;
    let entry = this.#records.get(channel)?.newest;
    for (; entry !== undefined && entry.number > since; entry = entry.olderOfChannel) {
      bytes += Buffer.byteLength(entry.message ?? '');
      if (entries.length === max.messages || bytes > max.bytes) return undefined;
      entries.push(entry);
    }
    return { entries, bytes };
  }

  #publicationOf({ record: { channel }, message = '', number }: Entry): KeptPublication {
    return { channel, message, position: encodePosition({ epoch: this.#epoch, number }) };
  }

  #keep(channel: Channel, message: string, number: number): void {
    const record = this.#records.get(channel) ?? this.#createRecord(channel);
    const messageBytes = Buffer.byteLength(message);
    const ownBytes = Buffer.byteLength(channel) + ENTRY_BYTES;
    if (messageBytes + ownBytes > this.#maxBytes * MAX_SHARE) {
      // Nothing before it can be replayed any more. An entry without a message marks the gap for as long as it matters.
      this.#append(record, undefined, number, ownBytes);
      while (record.entries > 1) this.#trim(record);
      record.trimmed = number;
    } else {
      this.#append(record, this.#texts.of(message), number, messageBytes + ownBytes);
      if (record.entries > this.#maxMessages) this.#trim(record);
    }
    while (this.#bytes > this.#maxBytes) this.#dropOldest();
  }

  #createRecord(name: Channel): ChannelRecord {
    const channel = copyText(name) as Channel;
    const record = { channel, oldest: undefined, newest: undefined, entries: 0, trimmed: 0 };
    this.#records.set(channel, record);
    return record;
  }

  #append(record: ChannelRecord, message: string | undefined, number: number, bytes: number): void {
    const entry: Entry = {
      record,
      message,
      number,
      bytes,
      older: this.#newest,
      newer: undefined,
      olderOfChannel: record.newest,
      newerOfChannel: undefined,
    };
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    if (record.newest === undefined) record.oldest = entry;
    else record.newest.newerOfChannel = entry;
    record.newest = entry;
    record.entries += 1;
    this.#entries += 1;
    this.#bytes += bytes;
  }

  /** Drops the oldest entry of a channel that has too many. */
  #trim(record: ChannelRecord): void {
    const entry = record.oldest;
    if (entry === undefined) return;
    record.trimmed = entry.number;
    this.#drop(entry);
  }

  #dropOldest(): void {
    const entry = this.#oldest;
    if (entry === undefined) return;
    this.#floor = entry.number;
    this.#drop(entry);
  }

  /** The entry is the oldest of its channel: both lists have the same order. */
  #drop({ record, bytes, older, newer, newerOfChannel }: Entry): void {
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    record.oldest = newerOfChannel;
    if (newerOfChannel === undefined) record.newest = undefined;
    else newerOfChannel.olderOfChannel = undefined;
    record.entries -= 1;
    this.#entries -= 1;
    this.#bytes -= bytes;
    // Its `trimmed` is not needed any more: its last entry was newer, and is below the floor now.
    if (record.entries === 0) this.#records.delete(record.channel);
  }

  #clock(): number {
    return Math.floor(this.#now());
  }
}

/** Set by the wall clock once, at the start of the process, and never back. */
function monotonicNow(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
