import { clientFrame } from '../support/client-frame.ts';
import { sign } from '../support/tokens.ts';
import { PING_MESSAGE } from './client-messages.ts';
import type { ClientEvent } from './nodes-history-oracle.ts';
import { ReturningClient } from './returning-client.ts';
import { type ServerFrame, TEXT, type WireClient } from './wire-client.ts';

const PING_INTERVAL_MS = 700;
/** Of the connections, so many are cut behind one of their first frames, whatever has arrived beside it. */
const EARLY_CUTS = 0.5;
const EARLY_FRAMES = 30;

interface Frame {
  readonly event: string;
  readonly channel?: string;
  readonly position?: string;
  readonly data?: unknown;
}

/** A client that keeps its position. */
export class HistoryClient extends ReturningClient {
  readonly events: ClientEvent[] = [];
  connections = 0;
  replayed = 0;
  protected readonly lifeMs = [50, 4_000] as const;
  protected readonly absenceMs = [0, 1_500] as const;
  #position: string | null = null;
  #ping: NodeJS.Timeout | undefined;
  #framesBeforeCut = 0;
  #confirmed = 0;
  /** The channels of this connection on which something may be missing. */
  #gaps: string[] = [];
  #lastSequence = 0;

  /** Whether it is there, and has received this message last. */
  hasReceived(sequence: number): boolean {
    return this.#isConfirmed && this.#lastSequence === sequence;
  }

  get #isConfirmed(): boolean {
    return this.#confirmed === this.channels.length;
  }

  protected begin(): void {
    this.connections += 1;
    this.#confirmed = 0;
    this.#gaps = [];
    this.#framesBeforeCut =
      this.random.fraction() < EARLY_CUTS
        ? this.random.below(EARLY_FRAMES)
        : Number.POSITIVE_INFINITY;
  }

  protected authenticate(wire: WireClient): void {
    const data = sign({ channels: this.channels });
    const since = this.#position;
    wire.send(clientFrame(JSON.stringify({ event: 'authenticate', data, since })));
    this.#ping = setInterval(() => {
      if (this.#confirmed > 0 && wire.socket.writable) wire.send(PING_MESSAGE);
    }, PING_INTERVAL_MS);
  }

  protected override end(): void {
    clearInterval(this.#ping);
  }

  protected receive({ opcode, payload }: ServerFrame): void {
    if (this.mayCut && this.#framesBeforeCut <= 0) this.cut();
    else if (opcode === TEXT) this.#receiveText(JSON.parse(payload.toString()));
    this.#framesBeforeCut -= 1;
  }

  #receiveText(frame: Frame): void {
    if (frame.event === 'subscribed') this.#confirm(JSON.parse(String(frame.data)));
    else if (frame.event === 'message') this.#receiveMessage(frame);
    else if (frame.event === 'pong') this.#receivePong(frame);
    else this.faults.push(`unexpected ${JSON.stringify(frame)}`);
  }

  #confirm(data: {
    readonly channel: string;
    readonly recovered?: boolean;
    readonly missed?: number;
    readonly position?: string;
  }): void {
    const { channel, recovered, missed, position } = data;
    if (channel !== this.channels[this.#confirmed]) this.faults.push(`confirmed ${channel}`);
    this.#confirmed += 1;
    const isFirst = this.#position === null;
    if (isFirst !== (recovered === undefined)) this.faults.push(JSON.stringify(data));
    if (recovered === false) {
      this.events.push({ kind: 'gap', channel, at: Date.now() });
      this.#gaps.push(channel);
    }
    this.replayed += missed ?? 0;
    if (!this.#isConfirmed) return;
    if (position === undefined) {
      this.faults.push('the last confirmation has no position');
      return;
    }
    // Its own position follows when there is a replay: of the channels with a gap nothing is known then.
    if (position !== this.#position) {
      const joined = { kind: 'joined', number: numberOf(position), at: Date.now() } as const;
      const channels = isFirst ? this.channels : this.#gaps;
      for (const each of channels) this.events.push({ ...joined, channel: each });
    }
    this.#position = position;
  }

  #receiveMessage({ channel = '', position = '', data }: Frame): void {
    const { sequence } = data as { sequence: number };
    if (!this.#isConfirmed) this.faults.push(`${sequence} came before the confirmation`);
    this.#lastSequence = sequence;
    const epoch = position.slice(0, position.indexOf('.'));
    this.events.push({ kind: 'message', channel, sequence, epoch, number: numberOf(position) });
    this.#position = position;
  }

  #receivePong({ data }: Frame): void {
    if (data === undefined) return;
    const { position } = JSON.parse(String(data));
    const isOfEpoch = position.slice(0, 8) === this.#position?.slice(0, 8);
    if (isOfEpoch && numberOf(position) < numberOf(this.#position ?? '')) {
      this.faults.push(`the pong ${position} is behind ${this.#position}`);
    }
    this.#position = position;
  }
}

function numberOf(position: string): number {
  return Number(position.slice(position.indexOf('.') + 1));
}
