import { expect } from 'vitest';
import type { Channel } from '../../src/protocol/channel.ts';
import { parsePosition } from '../../src/protocol/position.ts';
import { sign } from '../support/tokens.ts';
import type { Answer, Oracle, Told } from './oracle.ts';
import type { SimulatedConnection } from './simulated-connection.ts';

/** What the client knows of one channel, checked against the truth. */
interface View {
  /** How much of what was told to the channel is not to come again: up to the last that it has accepted. */
  seen: number;
  /** How much of it may be missing: it was announced, or came before the client began. */
  excused: number;
  /** The highest position that it has accepted. */
  highest: string | undefined;
  /** What comes next on this connection, once it is live: nothing may be missing there, kept or not. */
  live: number | undefined;
}

/** One token on its way to being answered. */
interface Pending {
  readonly channels: readonly string[];
  readonly since: string | null;
  confirmed: number;
  missed: number;
}

/**
 * A client as the contract describes it: it keeps the position that it received last, and with several tokens the one of
 * the connection before until all of them are answered. Every frame is compared with what the oracle knows.
 */
export class ModelClient {
  readonly #oracle: Oracle;
  readonly #tokens: string[][];
  readonly #views = new Map<string, View>();
  #cursor: string | null = null;
  /** The highest position of this connection, which becomes the cursor when all tokens are answered. */
  #received: string | undefined;
  #connection: SimulatedConnection | undefined;
  #offset = 0;
  #pending: Pending[] = [];
  #answered = 0;
  /** Replays of the token that was confirmed last. */
  #replaysLeft = 0;
  #lastPong: string | undefined;
  #tokensSent = 0;
  /** For each ping under way, how many tokens were sent before it. */
  #pings: number[] = [];

  /** `tokens` are the channels of each. */
  constructor(oracle: Oracle, tokens: readonly (readonly string[])[]) {
    this.#oracle = oracle;
    this.#tokens = tokens.map((channels) => [...channels]);
  }

  get connection(): SimulatedConnection | undefined {
    return this.#connection;
  }

  /** Shows all its tokens with its cursor. */
  connect(connection: SimulatedConnection): void {
    this.#connection = connection;
    this.#offset = 0;
    this.#received = undefined;
    this.#pending = [];
    this.#answered = 0;
    this.#replaysLeft = 0;
    this.#lastPong = undefined;
    this.#tokensSent = 0;
    this.#pings = [];
    for (const view of this.#views.values()) view.live = undefined;
    for (const channels of this.#tokens) this.#authenticate(channels, this.#cursor);
  }

  /** Adds a token while it is connected, for what comes from now on. */
  addToken(channels: readonly string[]): void {
    if (this.#connection === undefined) return;
    this.#tokens.push([...channels]);
    this.#authenticate(channels, null);
  }

  ping(): void {
    if (this.#connection === undefined) return;
    this.#pings.push(this.#tokensSent);
    this.#connection.send({ event: 'ping' });
  }

  /** Reads up to so many bytes of what the server has written. */
  read(bytes = Number.POSITIVE_INFINITY): void {
    const written = this.#connection?.written ?? Buffer.alloc(0);
    const end = Math.min(written.length, this.#offset + bytes);
    for (;;) {
      const frame = parseFrame(written.subarray(0, end), this.#offset);
      if (frame === undefined) return;
      this.#offset = frame.end;
      this.#receive(frame.text);
    }
  }

  /** The connection is cut after so many more bytes, somewhere in a frame perhaps. Returns it. */
  cut(bytes: number): SimulatedConnection | undefined {
    const connection = this.#connection;
    this.read(bytes);
    this.#connection = undefined;
    return connection;
  }

  /** Nothing is under way any more: everything was received or announced as lost. */
  expectComplete(): void {
    expect(this.#pending, 'every token is answered').toEqual([]);
    for (const [channel, { seen, excused }] of this.#views) {
      const lost = this.#oracle
        .of(channel)
        .slice(Math.max(seen, excused))
        .filter(({ isKept }) => isKept);
      expect(lost, `nothing is missing at the end of ${channel}`).toEqual([]);
    }
  }

  #authenticate(channels: readonly string[], since: string | null): void {
    this.#tokensSent += 1;
    this.#pending.push({ channels, since, confirmed: 0, missed: 0 });
    this.#connection?.send({ event: 'authenticate', data: sign({ channels }), since });
    this.#skipEmptyTokens();
  }

  #receive(text: string): void {
    const frame = JSON.parse(text);
    if (frame.event === 'pong') this.#receivePong(frame.data && JSON.parse(frame.data).position);
    else if (frame.event === 'subscribed') this.#receiveConfirmation(JSON.parse(frame.data));
    else this.#receiveMessage(text, frame);
  }

  #receivePong(position: string | undefined): void {
    const tokensBefore = this.#pings.shift() ?? 0;
    if (tokensBefore > this.#answered) {
      expect(position, 'no pong names a position before the token is answered').toBeUndefined();
    }
    if (position === undefined) return;
    if (this.#received !== undefined) {
      expect(isLater(this.#received, position), 'no pong goes back').toBe(false);
    }
    this.#lastPong = position;
    this.#reach(position);
  }

  #receiveConfirmation(data: Record<string, unknown>): void {
    const [token] = this.#pending;
    const answer = this.#connection?.answers[this.#answered];
    if (token === undefined || answer === undefined) throw new Error('nobody asked for this');
    const channel = token.channels[token.confirmed];
    expect(data['channel']).toBe(channel);
    const isRepetition = token.channels.indexOf(channel ?? '') < token.confirmed;
    if (channel !== undefined && answer.request.channels.some((each) => each === channel)) {
      if (!isRepetition) this.#join(channel, token, answer, data);
      else expect(data['recovered']).toBeUndefined();
    }
    token.confirmed += 1;
    const { position } = data;
    if (token.confirmed < token.channels.length) {
      if (typeof position === 'string') this.#reach(position);
      return;
    }
    this.#pending.shift();
    this.#answered += 1;
    this.#replaysLeft = token.missed;
    this.#reach(String(position));
    this.#skipEmptyTokens();
  }

  /** A token of no channels is answered with nothing. */
  #skipEmptyTokens(): void {
    while (this.#pending[0]?.channels.length === 0) {
      this.#pending.shift();
      this.#answered += 1;
    }
  }

  #join(channel: string, token: Pending, answer: Answer, data: Record<string, unknown>): void {
    const { since } = token;
    const { recovered, missed } = data;
    const now = String(answer.recovery.position);
    const live = this.#oracle.countUpTo(channel, now);
    const view: View = this.#views.get(channel) ?? {
      seen: 0,
      excused: 0,
      highest: undefined,
      live,
    };
    const isNew = !this.#views.has(channel);
    this.#views.set(channel, view);
    view.live = live;
    if (since === null) {
      expect([recovered, missed], 'nothing is recovered from now on').toEqual([
        undefined,
        undefined,
      ]);
      view.excused = live;
    } else if (recovered === true) {
      const kept = this.#oracle.keptBetween(channel, since, now);
      expect(parsePosition(since)?.epoch, 'only the epoch of now is recovered').toBe(
        parsePosition(now)?.epoch,
      );
      expect(missed, 'as many are announced as were missed').toBe(kept.length);
      if (isNew) view.excused = this.#oracle.countUpTo(channel, since);
      token.missed += kept.length;
    } else {
      const { request, recovery } = answer;
      const index = request.channels.indexOf(channel as Channel);
      const before = request.channels.filter(
        (_, at) => at < index && typeof recovery.verdicts[at] === 'number',
      );
      expect(recovered).toBe(false);
      expect(
        this.#oracle.mustHave(channel, answer, before),
        `the gap of ${channel} after ${since} is real`,
      ).toBe(false);
      view.excused = live;
    }
  }

  #receiveMessage(text: string, frame: Record<string, unknown>): void {
    const { channel, position } = frame as { channel: string; position: string | undefined };
    const told = this.#oracle.of(channel);
    const index = told.findIndex(({ message }) => text.endsWith(`,"data":${message}}`));
    const found = told[index];
    const view = this.#views.get(channel);
    if (found === undefined || view === undefined) throw new Error(`nobody has said ${text}`);
    expect(text).toBe(envelopeOf(found));

    if (this.#replaysLeft > 0) {
      this.#replaysLeft -= 1;
    } else {
      this.#receiveLive(view, told, index, channel);
      if (position !== undefined && this.#lastPong !== undefined) {
        expect(isLater(position, this.#lastPong), 'a pong names no position ahead').toBe(true);
      }
    }
    if (position !== undefined && view.highest !== undefined && !isLater(position, view.highest)) {
      // Only with several tokens, whose common cursor may be behind what one of them has received.
      expect(this.#tokens.length, `${text} comes once`).toBeGreaterThan(1);
    } else if (position !== undefined) {
      this.#accept(view, told, index, channel);
      view.highest = position;
    }
    if (position !== undefined) this.#reach(position);
  }

  /** While it is connected nothing is left out, not even what is not kept. */
  #receiveLive(view: View, told: readonly Told[], index: number, channel: string): void {
    expect(
      view.live,
      `${told[index]?.message} comes live after its channel is confirmed`,
    ).toBeDefined();
    expect(index, `what is live on ${channel} comes whole and in order`).toBe(view.live);
    view.live = index + 1;
  }

  #accept(view: View, told: readonly Told[], index: number, channel: string): void {
    expect(index, `${told[index]?.message} comes once and in order`).toBeGreaterThanOrEqual(
      view.seen,
    );
    const lost = told
      .slice(Math.max(view.seen, view.excused), index)
      .filter(({ isKept }) => isKept);
    expect(lost, `nothing of ${channel} is lost without being announced`).toEqual([]);
    view.seen = index + 1;
  }

  /** A frame has brought a position. */
  #reach(position: string): void {
    const isFirst = this.#received === undefined || isLater(position, this.#received);
    if (isFirst) this.#received = position;
    // With one token the position that came last is the cursor, whatever frame has brought it.
    if (this.#tokens.length === 1) this.#cursor = position;
    else if (this.#pending.length === 0 && this.#replaysLeft === 0) {
      this.#cursor = this.#received ?? position;
    }
  }
}

/** Whether the first of two positions is later than the second. One of another epoch is. */
function isLater(text: string, other: string): boolean {
  const position = parsePosition(text);
  const before = parsePosition(other);
  if (position === undefined || before === undefined) throw new Error(`${text} is no position`);
  return position.epoch !== before.epoch || position.number > before.number;
}

function envelopeOf({ channel, message, isKept, epoch, number }: Told): string {
  const position = isKept ? `"position":"${epoch}.${number}",` : '';
  return `{"event":"message","channel":${JSON.stringify(channel)},${position}"data":${message}}`;
}

/** The text frame that begins at `start`; undefined when it is not whole. */
function parseFrame(bytes: Buffer, start: number): { text: string; end: number } | undefined {
  const form = bytes[start + 1];
  if (form === undefined) return undefined;
  expect(bytes[start], 'a whole text frame').toBe(0x81);
  const header = form < 126 ? 2 : form === 126 ? 4 : 10;
  if (bytes.length < start + header) return undefined;
  const length =
    form < 126
      ? form
      : form === 126
        ? bytes.readUInt16BE(start + 2)
        : Number(bytes.readBigUInt64BE(start + 2));
  const end = start + header + length;
  return end > bytes.length
    ? undefined
    : { text: bytes.toString('utf8', start + header, end), end };
}
