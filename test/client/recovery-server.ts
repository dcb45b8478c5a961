import type { FakeSocket } from './network.ts';

export interface HistoryOptions {
  /** False for a server that ignores `since`, as those before recovery do. */
  readonly knowsPositions: boolean;
  /** Broadcasts kept per channel. */
  readonly kept: number;
  /** Replays that one `authenticate` may have. */
  readonly maxReplays: number;
  /** True if `authenticate` is answered later, as with Redis; false if at once. */
  readonly answersLater: boolean;
}

interface Entry {
  readonly channel: string;
  readonly number: number;
  /** What the app tells broadcasts apart by, across epochs: 1, 2, 3… */
  readonly id: number;
}

/** A frame on its way, and what it means to whoever judges the client. */
interface Sent {
  readonly text: string;
  readonly id?: number;
  readonly isReplay?: boolean;
  /** The channels of a token, on its last confirmation. */
  readonly subscribed?: readonly string[];
}

/**
 * The server's side of recovery, in memory, as the contract has it. Frames wait in a queue until the test hands them
 * over one by one; a connection that is cut loses those that wait.
 */
export class RecoveryServer {
  /** The id of the newest broadcast. */
  lastId = 0;
  readonly #options: HistoryOptions;
  #epoch = 1;
  #now = 1_000;
  #history: Entry[] = [];
  /** Channel → number of the newest entry that has left the history. */
  #trimmed = new Map<string, number>();
  /** The newest connection; the client has no other. */
  connection: ServerConnection | undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  accept(socket: FakeSocket): void {
    this.connection = new ServerConnection(this, this.#options, socket);
    socket.open();
  }

  position(number: number): string {
    return `epoch${String(this.#epoch).padStart(3, '0')}.${number}`;
  }

  get now(): string {
    return this.position(this.#now);
  }

  /** Posts a broadcast; with `history` false it is not kept. */
  publish(channel: string, history: boolean): void {
    this.lastId += 1;
    this.#now += 1;
    const entry = { channel, number: this.#now, id: this.lastId };
    if (history) {
      this.#history.push(entry);
      const ofChannel = this.#history.filter((kept) => kept.channel === channel);
      const [oldest] = ofChannel;
      if (oldest !== undefined && ofChannel.length > this.#options.kept) {
        this.#trimmed.set(channel, oldest.number);
        this.#history.splice(this.#history.indexOf(oldest), 1);
      }
    }
    this.connection?.deliver(entry, history);
  }

  /** The history is lost, and the clock goes back. */
  restart(): void {
    this.#epoch += 1;
    this.#now = 1_000;
    this.#history = [];
    this.#trimmed.clear();
  }

  /** What was missed on a channel since a position; undefined when that cannot be proved. */
  missed(channel: string, since: string): readonly Entry[] | undefined {
    const [epoch, number] = since.split('.');
    const from = Number(number);
    const isKnown = `${epoch}.` === this.position(0).slice(0, -1) && from <= this.#now;
    if (!isKnown || (this.#trimmed.get(channel) ?? 0) > from) return undefined;
    return this.#history.filter((entry) => entry.channel === channel && entry.number > from);
  }
}

export class ServerConnection {
  /** Frames that the client has not received. */
  readonly queue: Sent[] = [];
  readonly socket: FakeSocket;
  readonly #server: RecoveryServer;
  readonly #options: HistoryOptions;
  readonly #channels = new Set<string>();
  readonly #unanswered: { channels: string[]; since: string | null }[] = [];

  constructor(server: RecoveryServer, options: HistoryOptions, socket: FakeSocket) {
    this.#server = server;
    this.#options = options;
    this.socket = socket;
    socket.onsend = (text) => this.#receive(text);
  }

  /** A token is the list of its channels. */
  #receive(text: string): void {
    const { event, data, since = null } = JSON.parse(text);
    if (event === 'authenticate') {
      this.#unanswered.push({ channels: data.split(','), since });
      if (!this.#options.answersLater) this.answer();
      return;
    }
    const hasPosition = this.#options.knowsPositions && this.#unanswered.length === 0;
    const details = hasPosition && { data: JSON.stringify({ position: this.#server.now }) };
    this.queue.push({ text: JSON.stringify({ event: 'pong', ...details }) });
  }

  /** Answers the oldest `authenticate` that waits. */
  answer(): void {
    const asked = this.#unanswered.shift();
    if (asked === undefined) return;
    const { channels, since } = asked;
    const replays: Entry[] = [];
    const confirmations = channels.map((channel) => {
      const isNew = !this.#channels.has(channel);
      this.#channels.add(channel);
      if (!isNew || since === null || !this.#options.knowsPositions) return { channel };
      const missed = this.#server.missed(channel, since);
      if (missed === undefined || replays.length + missed.length > this.#options.maxReplays) {
        return { channel, recovered: false };
      }
      replays.push(...missed);
      return { channel, recovered: true, missed: missed.length };
    });
    for (const [n, confirmation] of confirmations.entries()) {
      const isLast = n === confirmations.length - 1;
      const position = replays.length > 0 ? since : this.#server.now;
      const details = isLast && this.#options.knowsPositions ? { position } : {};
      const data = JSON.stringify({ ...confirmation, ...details });
      this.queue.push({
        text: JSON.stringify({ event: 'subscribed', data }),
        ...(isLast && { subscribed: channels }),
      });
    }
    replays.sort((one, other) => one.number - other.number);
    for (const entry of replays) this.#send(entry, true, true);
  }

  deliver(entry: Entry, history: boolean): void {
    if (this.#channels.has(entry.channel)) this.#send(entry, history, false);
  }

  #send({ channel, number, id }: Entry, history: boolean, isReplay: boolean): void {
    const message = `{"event":"posted","data":${id}}`;
    const position = history ? `"position":"${this.#server.position(number)}",` : '';
    const text = this.#options.knowsPositions
      ? `{"event":"message","channel":"${channel}",${position}"data":${message}}`
      : message;
    this.queue.push({ text, id, isReplay });
  }
}
