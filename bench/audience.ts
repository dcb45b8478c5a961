import { type BroadcastFigures, quantile } from './figures.ts';
import type { MessageKind } from './message.ts';
import type { Pace } from './publisher.ts';
import type { Stage } from './stage.ts';

const CHANNEL = 'bench';

export interface AudienceOptions {
  /** Of all the broadcasts to come. */
  readonly broadcasts: number;
  /** `small` unless said otherwise. */
  readonly message?: MessageKind;
  /** Whether its members compress. They do not unless said otherwise. */
  readonly deflate?: boolean;
}

/** The subscribers of one channel, spread over all servers of a stage. */
export interface Audience {
  /** Resolves when so many more have subscribed. */
  join(subscribers: number): Promise<void>;
  /** Resolves when everyone has every message; rejects when one is missing, or came twice. */
  broadcast(broadcasts: number, pace: Pace): Promise<BroadcastFigures>;
}

/** An audience without members. There is one on a stage. */
export async function createAudience(stage: Stage, options: AudienceOptions): Promise<Audience> {
  const { dialect, ports, usage, subscribers, publisher } = stage;
  const { message = 'small', deflate = false } = options;
  const arrivalsPort = await publisher('prepare', {
    ports,
    channel: CHANNEL,
    message,
    broadcasts: options.broadcasts,
  });
  await subscribers('announce', arrivalsPort);
  let members = 0;

  return {
    async join(count) {
      await subscribers('connect', { ports, dialect, count, channel: CHANNEL, deflate });
      members += count;
    },

    async broadcast(broadcasts, pace) {
      await subscribers('expect', broadcasts);
      const before = usage();
      // Both at once: the publisher would wait for ever for what the subscribers know to be lost.
      const [postedAtNs, { frames, reads, bytes, completedAtNs }] = await Promise.all([
        publisher('post', { broadcasts, pace, subscribers: members }),
        subscribers('delivered', undefined),
      ]);
      const after = usage();
      // Nothing may have come twice either.
      await subscribers('expect', 0);

      const seconds = ((completedAtNs.at(-1) ?? 0) - (postedAtNs[0] ?? 0)) / 1e9;
      const latenciesMs = Array.from(completedAtNs, (at, i) => (at - (postedAtNs[i] ?? 0)) / 1e6);
      latenciesMs.sort((a, b) => a - b);
      return {
        cpuUsPerDelivery: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / frames,
        deliveriesPerSecond: frames / seconds,
        broadcastsPerSecond: broadcasts / seconds,
        framesPerRead: frames / reads,
        bytesPerDelivery: bytes / frames,
        p50Ms: quantile(latenciesMs, 0.5),
        p99Ms: quantile(latenciesMs, 0.99),
        rssBytes: after.rssBytes,
      };
    },
  };
}
