import type {
  BatchOutcome,
  Bus,
  BusBatch,
  BusListener,
  BusRecoveryRequest,
} from '../../src/broker/bus.ts';
import { startServer } from './server.ts';
/** A bus that does only what the test says. */
export class ManualBus implements Bus {
  readonly hasHistory: boolean;
  readonly maxRecoveries: number;
  listener: BusListener | undefined;
  readonly published: {
    topic: string;
    text: string;
    reach: (nodes: number) => void;
    fail: () => void;
  }[] = [];
  readonly batches: {
    batch: BusBatch;
    reach: (nodes: number | 'duplicate', position?: string) => void;
    fail: () => void;
  }[] = [];
  readonly answers = new Map<string, string>();
  readonly subscribing: { topics: readonly string[]; confirm: () => void; fail: () => void }[] = [];
  readonly unsubscribed: (readonly string[])[] = [];
  readonly resets: string[] = [];
  readonly recoveries: { id: number; request: BusRecoveryRequest; fail: () => void }[] = [];

  constructor(hasHistory = false, maxRecoveries = 4) {
    this.hasHistory = hasHistory;
    this.maxRecoveries = maxRecoveries;
  }

  open(listener: BusListener): void {
    this.listener = listener;
  }

  publish(topic: string, text: string): Promise<number> {
    return new Promise((reach, reject) => {
      this.published.push({ topic, text, reach, fail: () => reject(new Error('lost')) });
    });
  }

  publishBatch(batch: BusBatch): Promise<BatchOutcome> {
    return new Promise((resolve, reject) => {
      const reach = (reached: number | 'duplicate', position?: string) =>
        resolve(reached === 'duplicate' ? reached : { reached, position });
      this.batches.push({ batch, reach, fail: () => reject(new Error('lost')) });
    });
  }

  recover(id: number, request: BusRecoveryRequest): Promise<void> {
    return new Promise((_resolve, reject) => {
      this.recoveries.push({ id, request, fail: () => reject(new Error('lost')) });
    });
  }

  storeAnswer(jti: string, answer: string): void {
    this.answers.set(jti, answer);
  }

  async findAnswer(jti: string): Promise<string | undefined> {
    return this.answers.get(jti);
  }

  subscribe(topics: readonly string[]): Promise<void> {
    return new Promise((confirm, reject) => {
      this.subscribing.push({ topics, confirm, fail: () => reject(new Error('lost')) });
    });
  }

  unsubscribe(topics: readonly string[]): void {
    this.unsubscribed.push(topics);
  }

  reset(reason: string): void {
    this.resets.push(reason);
  }

  async close(): Promise<void> {}

  /** Comes up and confirms all that is asked of it. */
  async comeUp(): Promise<void> {
    this.listener?.up();
    await this.confirmAll();
  }

  async confirmAll(): Promise<void> {
    for (let next = this.subscribing.shift(); next; next = this.subscribing.shift()) {
      next.confirm();
      await settle();
      if (next.topics[0]?.startsWith('p:node:') || next.topics[0]?.startsWith('bifrost:node:')) {
        this.carryProbe();
        await settle();
      }
    }
  }

  /** Carries what the node published last, to itself. */
  carryProbe(): void {
    const probe = this.published.pop();
    probe?.reach(1);
    this.listener?.message(probe?.topic ?? '', probe?.text ?? '');
  }
}

/** Lets all that is ready run. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 10; n += 1) await Promise.resolve();
}

/** A server on such a bus. */
export async function startNode(env: Record<string, string> = {}) {
  const bus = new ManualBus();
  const node = await startServer(env, undefined, { bus });
  const health = async () => (await fetch(`${node.url}/healthz`)).text();
  return { bus, node, health };
}
