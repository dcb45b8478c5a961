import type { Channel } from '../../protocol/channel.ts';
import type { Bus } from '../bus.ts';
import type { Interests } from './interests.ts';
import { probe } from './probe.ts';
import type { Surveys } from './survey.ts';

/** Topics renewed with one command, so that a long list does not hold up everything else. */
const RENEW_TOPICS = 1_000;

interface Topics {
  /** What the topics of channels begin with. */
  readonly channels: string;
  /** The topic of this node alone. */
  readonly own: string;
  readonly stats: string;
}

/** The subscriptions of one node on the bus: the channels of its interests, all of them again after every loss. */
export class BusSubscriptions {
  readonly #bus: Bus;
  readonly #surveys: Surveys;
  readonly #interests: Interests;
  readonly #topics: Topics;
  readonly #onRenewed: () => void;
  #isUp = false;
  /** Raised by every loss of the bus and by `close`. What was begun under an earlier number is dropped. */
  #epoch = 0;

  /** `onRenewed` is called when the bus is there, is proved to carry, and has all subscriptions. */
  constructor(
    bus: Bus,
    surveys: Surveys,
    interests: Interests,
    topics: Topics,
    onRenewed: () => void,
  ) {
    this.#bus = bus;
    this.#surveys = surveys;
    this.#interests = interests;
    this.#topics = topics;
    this.#onRenewed = onRenewed;
  }

  /** Whether the bus is there. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** To be called for channels of new interests, which are confirmed when the bus has confirmed them. */
  add(channels: readonly Channel[]): void {
    if (channels.length > 0 && this.#isUp) void this.#subscribe(channels);
  }

  remove(channels: readonly Channel[]): void {
    if (channels.length > 0 && this.#isUp) this.#bus.unsubscribe(this.#topicsOf(channels));
  }

  up(): void {
    this.#isUp = true;
    void this.#renew();
  }

  down(): void {
    this.#isUp = false;
    this.#epoch += 1;
    this.#interests.unconfirmAll();
  }

  /** Drops what is under way. */
  close(): void {
    this.#epoch += 1;
  }

  #topicsOf(channels: readonly Channel[]): string[] {
    return channels.map((channel) => this.#topics.channels + channel);
  }

  /** Resolves to whether the bus confirmed them. What it did not confirm is renewed when it is back. */
  async #subscribe(channels: readonly Channel[]): Promise<boolean> {
    // These interests and no others: a channel that is given up and wanted again meanwhile gets a confirmation of its own.
    const interests = this.#interests.of(channels);
    const epoch = this.#epoch;
    try {
      await this.#bus.subscribe(this.#topicsOf(channels));
    } catch {
      return false;
    }
    if (epoch !== this.#epoch) return false;
    for (const interest of interests) this.#interests.confirm(interest);
    return true;
  }

  /** After a loss: everything is subscribed again, on a bus that is proved to carry, before anything is promised. */
  async #renew(): Promise<void> {
    const epoch = this.#epoch;
    const { channels } = this.#interests;
    const { own, stats } = this.#topics;
    try {
      await this.#bus.subscribe([own, stats]);
    } catch {
      return;
    }
    if (epoch !== this.#epoch) return;
    const isProved = await probe(this.#bus, this.#surveys, own);
    if (epoch !== this.#epoch) return;
    if (!isProved) {
      this.#bus.reset('what this node publishes does not come back to it');
      return;
    }
    for (let from = 0; from < channels.length; from += RENEW_TOPICS) {
      // Channels that nobody wants any more are left out.
      const some = channels
        .slice(from, from + RENEW_TOPICS)
        .filter((channel) => this.#interests.has(channel));
      if (!(await this.#subscribe(some))) return;
    }
    if (epoch === this.#epoch) this.#onRenewed();
  }
}
