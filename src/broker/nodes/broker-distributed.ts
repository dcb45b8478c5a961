import { randomUUID } from 'node:crypto';
import { DeliveryQueue } from '../../hub/delivery-queue.ts';
import type { Hub, Subscriber } from '../../hub/hub.ts';
import type { Channel } from '../../protocol/channel.ts';
import type { Publication, PublicationBatch } from '../../protocol/publishing.ts';
import {
  type Broker,
  BrokerUnavailable,
  type Published,
  type PublishedBatch,
  type Stats,
} from '../broker.ts';
import { type Bus, type BusListener, type BusRecovery, channelTopicsOf } from '../bus.ts';
import type { Recovery, RecoveryRequest } from '../history.ts';
import { Answers } from './answers.ts';
import { BusSubscriptions } from './bus-subscriptions.ts';
import { IncomingBroadcasts } from './incoming-broadcasts.ts';
import { Interests } from './interests.ts';
import { encodeStatsRequest, parseStatsRequest } from './node-messages.ts';
import { OutgoingBroadcasts } from './outgoing-broadcasts.ts';
import { PositionTracker } from './position-tracker.ts';
import { Recoveries } from './recoveries.ts';
import { StatsSurvey } from './stats-survey.ts';
import { Surveys } from './survey.ts';

export interface DistributedBrokerOptions {
  /** What every topic begins with, so that several installations may share a bus. */
  readonly prefix: string;
  /** Whether sockets are still to be written with what was handed out in earlier turns of the event loop. */
  readonly isWriting?: () => boolean;
  /** Called when the broker becomes available, and when it is no longer. */
  readonly onChange: (isAvailable: boolean) => void;
  /**
   * Called for every loss of a bus that keeps what is published, in its step. Subscribers that are told positions must
   * unsubscribe then: what comes after the loss would move their position over what is lost.
   */
  readonly onLoss?: () => void;
  /** Called for every text under the prefix that no node can have written. It was dropped. */
  readonly onMalformed: (topic: string) => void;
  /** Called for every broadcast of a node that does not keep it in Redis, where this one does. */
  readonly onWithoutHistory?: (() => void) | undefined;
}

/**
 * Many nodes on one bus. A message travels only to nodes with listeners, its publisher's own included, so there is
 * one order for all; each tells the publisher how many sockets it was handed to.
 */
export class DistributedBroker implements Broker, BusListener {
  readonly #hub: Hub;
  readonly #bus: Bus;
  readonly #positions: PositionTracker;
  readonly #queue: DeliveryQueue;
  readonly #recoveries: Recoveries;
  readonly #onChange: (isAvailable: boolean) => void;
  readonly #onLoss: () => void;
  readonly #onMalformed: (topic: string) => void;
  readonly #node = randomUUID();
  readonly #channelTopics: string;
  readonly #ownTopic: string;
  readonly #statsTopic: string;
  readonly #interests = new Interests();
  readonly #surveys = new Surveys();
  readonly #answers: Answers;
  readonly #outgoing: OutgoingBroadcasts;
  readonly #incoming: IncomingBroadcasts;
  readonly #stats: StatsSurvey;
  readonly #subscriptions: BusSubscriptions;
  #malformedTexts = 0;
  #isAvailable = false;
  /** Whether the bus cannot keep what is published. */
  #isFull = false;

  constructor(hub: Hub, bus: Bus, options: DistributedBrokerOptions) {
    const { prefix, isWriting, onChange, onLoss, onMalformed, onWithoutHistory } = options;
    this.#hub = hub;
    this.#bus = bus;
    this.#positions = new PositionTracker(hub);
    this.#queue = new DeliveryQueue(this.#positions, isWriting);
    this.#onChange = onChange;
    this.#onLoss = onLoss ?? (() => {});
    this.#onMalformed = onMalformed;
    this.#channelTopics = channelTopicsOf(prefix);
    this.#recoveries = new Recoveries(bus, this.#queue, this.#interests, this.#channelTopics);
    const nodeTopics = `${prefix}node:`;
    this.#ownTopic = nodeTopics + this.#node;
    this.#statsTopic = `${prefix}stats`;
    this.#answers = new Answers(this.#surveys, this.#node, (node, text) => {
      // If the bus is lost now, so is the answer. The bus reports its loss, and the node that asked has a deadline.
      bus.publish(nodeTopics + node, text).catch(() => {});
    });
    this.#incoming = new IncomingBroadcasts(
      this.#positions,
      this.#queue,
      this.#answers,
      onWithoutHistory,
    );
    this.#outgoing = new OutgoingBroadcasts(bus, this.#surveys, this.#node, this.#channelTopics);
    this.#stats = new StatsSurvey(this.#surveys, hub, (id) =>
      bus.publish(this.#statsTopic, encodeStatsRequest(this.#node, id)),
    );
    this.#subscriptions = new BusSubscriptions(
      bus,
      this.#surveys,
      this.#interests,
      { channels: this.#channelTopics, own: this.#ownTopic, stats: this.#statsTopic },
      () => this.#setAvailable(true),
    );
    bus.open(this);
  }

  get isAvailable(): boolean {
    return this.#isAvailable && !this.#isFull;
  }

  get hasHistory(): boolean {
    return this.#bus.hasHistory;
  }

  get malformedTexts(): number {
    return this.#malformedTexts;
  }

  subscribe(
    subscriber: Subscriber,
    channels: readonly Channel[],
    onSubscribed: () => void,
  ): boolean {
    const onConfirmed = () => this.#queue.subscribe(subscriber, onSubscribed);
    const { added, isConfirmed } = this.#interests.add(subscriber, channels, onConfirmed);
    this.#subscriptions.add(added);
    if (isConfirmed && this.#queue.isEmpty) return true;
    if (isConfirmed) onConfirmed();
    return false;
  }

  recover(
    subscriber: Subscriber,
    request: RecoveryRequest,
    onRecovered: (recovery: Recovery | undefined) => void,
  ): void {
    this.#recoveries.add(subscriber, request, onRecovered);
  }

  position(): string | undefined {
    return this.#subscriptions.isUp ? this.#positions.position : undefined;
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#queue.drop(subscriber);
    this.#recoveries.drop(subscriber);
    this.#subscriptions.remove(this.#interests.remove(subscriber));
  }

  async publish(publication: Publication): Promise<Published> {
    if (!this.isAvailable) throw new BrokerUnavailable();
    return this.#outgoing.publish(publication);
  }

  async publishBatch(batch: PublicationBatch): Promise<PublishedBatch> {
    if (!this.isAvailable) throw new BrokerUnavailable();
    return this.#outgoing.publishBatch(batch);
  }

  stats(): Promise<Stats> {
    return this.#stats.read(this.#isAvailable);
  }

  close(): Promise<void> {
    this.#subscriptions.close();
    // Their deadlines would hold up the end of the process.
    this.#surveys.close();
    return this.#bus.close();
  }

  up(): void {
    // What came since the loss has been given by a bus that was away.
    if (this.#bus.hasHistory) this.#positions.reset(this.#queue);
    this.#subscriptions.up();
  }

  down(): void {
    this.#isFull = false;
    this.#subscriptions.down();
    if (this.#bus.hasHistory) {
      this.#positions.reset(this.#queue);
      this.#onLoss();
      this.#recoveries.restart();
    }
    this.#setAvailable(false);
  }

  recovered(id: number, recovery: BusRecovery): void {
    this.#positions.reach(recovery.position, this.#queue);
    this.#recoveries.receive(id, recovery);
  }

  full(isFull: boolean): void {
    this.#isFull = isFull;
  }

  reached(position: string): void {
    this.#positions.reach(position, this.#queue);
  }

  message(topic: string, text: string): void {
    if (this.#receive(topic, text)) return;
    this.#malformedTexts += 1;
    this.#onMalformed(topic);
  }

  /** False for what no node of ours can have sent. */
  #receive(topic: string, text: string): boolean {
    if (topic.startsWith(this.#channelTopics)) {
      return this.#incoming.receive(topic.slice(this.#channelTopics.length) as Channel, text);
    }
    if (topic === this.#statsTopic) {
      const request = parseStatsRequest(text);
      if (request === undefined) return false;
      const { deliveries, subscriptions } = this.#hub;
      return this.#answers.give(request.node, request.id, [deliveries, subscriptions]);
    }
    return topic === this.#ownTopic && this.#surveys.receive(text);
  }

  #setAvailable(isAvailable: boolean): void {
    if (this.#isAvailable === isAvailable) return;
    this.#isAvailable = isAvailable;
    this.#onChange(isAvailable);
  }
}
