import type { DeliveryQueue } from '../../hub/delivery-queue.ts';
import type { Subscriber } from '../../hub/hub.ts';
import type { Channel } from '../../protocol/channel.ts';
import type { Bus, BusRecovery } from '../bus.ts';
import { type Recovery, type RecoveryRequest, recoverNothing } from '../history.ts';
import type { Interests } from './interests.ts';

/**
 * Recoveries under way at a time, where the bus says nothing else: each takes its time, and may bring as many bytes as may
 * wait for one connection.
 */
const MAX_RECOVERIES = 4;

/** Somebody who waits for what was missed. */
interface Join {
  readonly subscriber: Subscriber;
  readonly request: RecoveryRequest;
  readonly onRecovered: (recovery: Recovery | undefined) => void;
  /** `answered`: by the bus, but it has not been handed out yet. */
  state: 'waiting' | 'asked' | 'answered';
  isDropped: boolean;
}

/** The recoveries of one node: asks the bus for a few at a time, and hands out the answers in their turn. */
export class Recoveries {
  readonly #bus: Bus;
  readonly #queue: DeliveryQueue;
  readonly #interests: Interests;
  readonly #channelTopics: string;
  /** In the order in which they came. */
  readonly #waiting = new Set<Join>();
  readonly #asked = new Map<number, Join>();
  readonly #bySubscriber = new Map<Subscriber, Set<Join>>();
  readonly #max: number;
  /** Those that are asked or answered, and may bring something. */
  #underWay = 0;
  #lastId = 0;

  /** `channelTopics` is what the topics of channels begin with. */
  constructor(bus: Bus, queue: DeliveryQueue, interests: Interests, channelTopics: string) {
    this.#bus = bus;
    this.#queue = queue;
    this.#interests = interests;
    this.#channelTopics = channelTopics;
    this.#max = bus.maxRecoveries ?? MAX_RECOVERIES;
  }

  /** Calls `onRecovered` with the answer in its turn, or with undefined when there is none, unless it is dropped before. */
  add(
    subscriber: Subscriber,
    request: RecoveryRequest,
    onRecovered: (recovery: Recovery | undefined) => void,
  ): void {
    if (!this.#bus.hasHistory) {
      this.#queue.subscribe(subscriber, () => onRecovered(recoverNothing(request)));
      return;
    }
    const join: Join = { subscriber, request, onRecovered, state: 'waiting', isDropped: false };
    // The bus may have been lost since the subscription was confirmed. What comes behind an answer that is read before the
    // subscription is renewed would not arrive here.
    const onConfirmed = () => this.#wait(join);
    if (this.#interests.add(subscriber, request.channels, onConfirmed).isConfirmed) onConfirmed();
  }

  /** To be called with what the bus has answered, in the same step. */
  receive(id: number, recovery: BusRecovery): void {
    const join = this.#asked.get(id);
    // It was asked before a loss of the bus.
    if (join === undefined) return;
    this.#asked.delete(id);
    if (join.isDropped) {
      this.#release(join);
      return;
    }
    join.state = 'answered';
    this.#queue.inTurn(() => this.#finish(join, toRecovery(join.request, recovery)));
  }

  /** Drops what the subscriber waits for. Safe to call twice. */
  drop(subscriber: Subscriber): void {
    const joins = this.#bySubscriber.get(subscriber);
    if (joins === undefined) return;
    this.#bySubscriber.delete(subscriber);
    for (const join of joins) {
      join.isDropped = true;
      this.#waiting.delete(join);
      // One that is asked is under way until the bus has answered.
      if (join.state === 'answered') this.#release(join);
    }
  }

  /** The bus is lost: what was under way or waits begins anew. */
  restart(): void {
    const joins = [...this.#bySubscriber.values()].flatMap((each) => [...each]);
    for (const join of joins) join.isDropped = true;
    this.#bySubscriber.clear();
    this.#waiting.clear();
    this.#asked.clear();
    this.#underWay = 0;
    for (const { subscriber, request, onRecovered } of joins) {
      this.add(subscriber, request, onRecovered);
    }
  }

  #wait(join: Join): void {
    const joins = this.#bySubscriber.get(join.subscriber);
    if (joins === undefined) this.#bySubscriber.set(join.subscriber, new Set([join]));
    else joins.add(join);
    // One that begins now brings nothing but a position.
    if (join.request.since === null) {
      this.#ask(join);
      return;
    }
    this.#waiting.add(join);
    this.#askNext();
  }

  #askNext(): void {
    for (const join of this.#waiting) {
      if (this.#underWay >= this.#max) return;
      this.#waiting.delete(join);
      this.#underWay += 1;
      this.#ask(join);
    }
  }

  #ask(join: Join): void {
    join.state = 'asked';
    this.#lastId += 1;
    const id = this.#lastId;
    this.#asked.set(id, join);
    const { channels, since, maxMessages, maxBytes } = join.request;
    const topics = channels.map((channel) => this.#channelTopics + channel);
    this.#bus.recover(id, { topics, since, maxMessages, maxBytes }).catch(() => {
      if (!this.#asked.delete(id)) return;
      if (join.isDropped) this.#release(join);
      else this.#finish(join, undefined);
    });
  }

  #finish(join: Join, recovery: Recovery | undefined): void {
    if (join.isDropped) return;
    const joins = this.#bySubscriber.get(join.subscriber);
    joins?.delete(join);
    if (joins?.size === 0) this.#bySubscriber.delete(join.subscriber);
    join.onRecovered(recovery);
    this.#release(join);
  }

  #release({ request }: Join): void {
    if (request.since === null) return;
    this.#underWay -= 1;
    this.#askNext();
  }
}

function toRecovery(
  { channels }: RecoveryRequest,
  { position, verdicts, publications }: BusRecovery,
): Recovery {
  return {
    position,
    verdicts,
    publications: publications.map(({ index, position, message }) => ({
      channel: channels[index] as Channel,
      position,
      message,
    })),
  };
}
