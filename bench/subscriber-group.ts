import { type BroadcastFigures, quantile } from './figures.ts';
import type { Deliveries } from './load/delivery-counter.ts';
import type { MessageKind } from './load/message.ts';
import type { Pace } from './load/publisher-process.ts';
import type { Usage } from './process-stats.ts';
import type { Counts } from './scenarios.ts';
import type { Testbed } from './testbed.ts';

const CHANNEL = 'bench';

/** How broadcasts are posted to a group, and received. */
interface BroadcastOptions {
  /** `small` unless given. */
  readonly message?: MessageKind;
  /** Whether the subscribers negotiate permessage-deflate. They do not unless given. */
  readonly deflate?: boolean;
  /** How many broadcasts travel in one request. Each is a request of its own, in the single form, unless given. */
  readonly batchSize?: number | undefined;
}

export interface SubscriberGroupOptions extends BroadcastOptions {
  /** How many broadcasts will be posted in all. */
  readonly broadcasts: number;
}

export interface WarmGroupOptions extends BroadcastOptions {
  readonly subscribers: number;
  /** Of the broadcasts that warm the servers up. */
  readonly pace: Pace;
}

/** What was seen while broadcasts were posted. */
interface BroadcastRun {
  /** When each request was posted, in nanoseconds of the machine's monotonic clock. */
  readonly postedAtNs: Float64Array;
  readonly deliveries: Deliveries;
  readonly before: Usage;
  readonly after: Usage;
}

function computeFigures({ postedAtNs, deliveries, before, after }: BroadcastRun): BroadcastFigures {
  const { frames, reads, bytes, completedAtNs } = deliveries;
  const seconds = ((completedAtNs.at(-1) ?? 0) - (postedAtNs[0] ?? 0)) / 1e9;
  const batchSize = completedAtNs.length / postedAtNs.length;
  const latenciesMs = Array.from(
    completedAtNs,
    (at, i) => (at - (postedAtNs[Math.floor(i / batchSize)] ?? 0)) / 1e6,
  );
  latenciesMs.sort((a, b) => a - b);
  return {
    cpuUsPerDelivery: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / frames,
    deliveriesPerSecond: frames / seconds,
    broadcastsPerSecond: completedAtNs.length / seconds,
    framesPerRead: frames / reads,
    bytesPerDelivery: bytes / frames,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    rssBytes: after.rssBytes,
  };
}

/** The subscribers of one channel, spread over all servers of a testbed. A testbed has one group at most. */
export class SubscriberGroup {
  readonly #testbed: Testbed;
  readonly #deflate: boolean;
  #size = 0;

  private constructor(testbed: Testbed, deflate: boolean) {
    this.#testbed = testbed;
    this.#deflate = deflate;
  }

  /** Resolves to a group without subscribers, when all broadcasts have been signed. */
  static async create(testbed: Testbed, options: SubscriberGroupOptions): Promise<SubscriberGroup> {
    const { callPublisher, callSubscribers, ports } = testbed;
    const { broadcasts, message = 'small', deflate = false, batchSize } = options;
    const ackPort = await callPublisher('prepare', {
      ports,
      channel: CHANNEL,
      message,
      broadcasts,
      batchSize,
    });
    await callSubscribers('sendAcksTo', ackPort);
    return new SubscriberGroup(testbed, deflate);
  }

  /** Resolves to a group that has had its broadcasts for warming up. Those that are measured have been signed too. */
  static async createWarm(
    testbed: Testbed,
    { subscribers, pace, ...options }: WarmGroupOptions,
    { warmUp, measured }: Counts,
  ): Promise<SubscriberGroup> {
    const broadcasts = warmUp + measured;
    const group = await SubscriberGroup.create(testbed, { ...options, broadcasts });
    await group.add(subscribers);
    await group.broadcast(warmUp, pace);
    return group;
  }

  /** Resolves when this many more have subscribed. */
  async add(count: number): Promise<void> {
    const { callSubscribers, ports, protocol } = this.#testbed;
    const deflate = this.#deflate;
    await callSubscribers('connect', { ports, protocol, count, channel: CHANNEL, deflate });
    this.#size += count;
  }

  /** Broadcasts so many messages. Resolves when every subscriber has every message. Rejects when one is missing or came twice. */
  async broadcast(broadcasts: number, pace: Pace): Promise<BroadcastFigures> {
    const { callPublisher, callSubscribers, readUsage } = this.#testbed;
    await callSubscribers('expect', broadcasts);
    const before = readUsage();
    // In parallel: where a message is lost the publisher waits for ever, and only the subscribers find out.
    const [postedAtNs, deliveries] = await Promise.all([
      callPublisher('post', { broadcasts, pace, subscribers: this.#size }),
      callSubscribers('untilDelivered', undefined),
    ]);
    const after = readUsage();
    // Rejects when something came twice.
    await callSubscribers('expect', 0);
    return computeFigures({ postedAtNs, deliveries, before, after });
  }
}
