import type { Channel } from '../protocol/channel.ts';
import { copyText } from './own-texts.ts';

/** A kept message, in two lists: that of all by age, and that of its channel. Both are in the order of the positions. */
export interface Entry {
  readonly record: ChannelRecord;
  /** Undefined for a message that was too large to keep, so that its channel has a gap. */
  readonly message: string | undefined;
  /** That of its position, in microseconds. */
  readonly number: number;
  /** What it counts as. */
  readonly bytes: number;
  older: Entry | undefined;
  newer: Entry | undefined;
  olderOfChannel: Entry | undefined;
  newerOfChannel: Entry | undefined;
}

/** What is kept of one channel. It goes with its last entry. */
export interface ChannelRecord {
  readonly channel: Channel;
  oldest: Entry | undefined;
  newest: Entry | undefined;
  entries: number;
  /** The number of the newest entry that was dropped because the channel had too many. */
  trimmed: number;
}

/** Messages by age and by channel. Every operation takes the same time however many there are. */
export class KeptMessages {
  readonly #records = new Map<Channel, ChannelRecord>();
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #entries = 0;
  #bytes = 0;

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

  get oldest(): Entry | undefined {
    return this.#oldest;
  }

  /** Undefined when nothing of the channel is kept. */
  recordOf(channel: Channel): ChannelRecord | undefined {
    return this.#records.get(channel);
  }

  /** Adds the newest of all. */
  append(
    channel: Channel,
    message: string | undefined,
    number: number,
    bytes: number,
  ): ChannelRecord {
    const record = this.#records.get(channel) ?? this.#createRecord(channel);
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
    return record;
  }

  /** Drops the oldest entry of a channel that has too many. */
  trim(record: ChannelRecord): void {
    const entry = record.oldest;
    if (entry === undefined) return;
    record.trimmed = entry.number;
    this.#drop(entry);
  }

  dropOldest(): void {
    if (this.#oldest !== undefined) this.#drop(this.#oldest);
  }

  #createRecord(name: Channel): ChannelRecord {
    const channel = copyText(name) as Channel;
    const record = { channel, oldest: undefined, newest: undefined, entries: 0, trimmed: 0 };
    this.#records.set(channel, record);
    return record;
  }

  /** The entry is the oldest of its channel: both lists have the same order. Its own links stay as they are. */
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
}
