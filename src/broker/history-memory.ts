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
import { type Entry, KeptMessages } from './kept-messages.ts';
import { OwnTexts } from './own-texts.ts';

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

/** A message that a restart must not lose. */
export interface SavedMessage {
  readonly channel: Channel;
  /** Empty for one that was too large to keep. It is not replayed: `trimmed` is its own number. */
  readonly message: string;
  readonly number: number;
  /** Whoever has not come as far as this may have missed a message of the channel that was dropped. */
  readonly trimmed: number;
}

/** What a restart must not lose beside the messages. */
export interface SavedState {
  readonly epoch: string;
  /** The highest number that was given. */
  readonly last: number;
  /** The highest number that was dropped for its age or for the bytes of all. */
  readonly floor: number;
}

/**
 * The newest broadcasts of each channel in the memory of this process, and the positions of all. Every operation but
 * `recover` takes the same time however much is kept.
 */
export class MemoryHistory implements HistoryStats {
  readonly options: MemoryHistoryOptions;
  readonly #now: () => number;
  #epoch = createEpoch();
  /** The highest number that was given so far. */
  #last = 0;
  /** The highest number that was dropped by age or bytes: whoever has not come that far may have missed something. */
  #floor = 0;
  /** How far the clock is put forward, in microseconds. */
  #ahead = 0;
  #kept = new KeptMessages();
  readonly #texts = new OwnTexts();

  /** `now` is the clock, in microseconds since 1970. It must not go back. */
  constructor(options: MemoryHistoryOptions, now: () => number = monotonicNow) {
    this.options = options;
    this.#now = now;
  }

  get entries(): number {
    return this.#kept.entries;
  }

  get bytes(): number {
    return this.#kept.bytes;
  }

  /** Channels of which something is kept. */
  get channels(): number {
    return this.#kept.channels;
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
    const limit = this.#clock() - this.options.historyMs * 1_000;
    while ((this.#kept.oldest?.number ?? limit) < limit) this.#dropOldest();
  }

  /** What a restart must not lose. The messages, oldest first, may be read while others are dropped, but none is added. */
  save(): { readonly state: SavedState; readonly messages: Iterable<SavedMessage> } {
    this.expire();
    const state = { epoch: this.#epoch, last: this.#last, floor: this.#floor };
    return { state, messages: listFrom(this.#kept.oldest) };
  }

  /**
   * Goes on where another process ended: in its epoch, above its last position even if this clock is behind. To be called
   * before anything else, and followed by `restoreMessage` for each message, oldest first.
   */
  restore({ epoch, last, floor }: SavedState): void {
    this.#epoch = epoch;
    this.#last = last;
    this.#floor = floor;
    this.#ahead = Math.max(0, last + 1 - this.#clock());
  }

  restoreMessage({ channel, message, number, trimmed }: SavedMessage): void {
    const record = this.#kept.append(channel, message, number, countBytes(channel, message));
    record.trimmed = trimmed;
  }

  /** Begins a new epoch with nothing in it: what was before is not known. */
  forget(): void {
    this.#epoch = createEpoch();
    this.#last = 0;
    this.#floor = 0;
    this.#ahead = 0;
    this.#kept = new KeptMessages();
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
    const trimmed = this.#kept.recordOf(channel)?.trimmed ?? 0;
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
    let entry = this.#kept.recordOf(channel)?.newest;
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
    const bytes = countBytes(channel, message);
    if (bytes > this.options.historyBytes * MAX_SHARE) {
      // Nothing before it can be replayed any more. An entry without a message marks the gap for as long as it matters.
      const record = this.#kept.append(channel, undefined, number, countBytes(channel));
      while (record.entries > 1) this.#kept.trim(record);
      record.trimmed = number;
    } else {
      const record = this.#kept.append(channel, this.#texts.of(message), number, bytes);
      if (record.entries > this.options.historyMessages) this.#kept.trim(record);
    }
    while (this.#kept.bytes > this.options.historyBytes) this.#dropOldest();
  }

  #dropOldest(): void {
    this.#floor = this.#kept.oldest?.number ?? this.#floor;
    this.#kept.dropOldest();
  }

  #clock(): number {
    return Math.floor(this.#now()) + this.#ahead;
  }
}

/** What a message counts as, or the mark of one that is not kept. */
function countBytes(channel: Channel, message = ''): number {
  return Buffer.byteLength(message) + Buffer.byteLength(channel) + ENTRY_BYTES;
}

function* listFrom(oldest: Entry | undefined): Generator<SavedMessage> {
  for (let entry = oldest; entry !== undefined; entry = entry.newer) {
    const { record, message = '', number } = entry;
    yield { channel: record.channel, message, number, trimmed: record.trimmed };
  }
}

/** Set by the wall clock once, at the start of the process, and never back. */
function monotonicNow(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
