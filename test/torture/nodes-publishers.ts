import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../support/random.ts';
import { BatchPublisher } from './nodes-batches.ts';
import { EVERYONE, GROUPS, group } from './nodes-channels.ts';
import type { Posted } from './nodes-oracle.ts';
import type { NodeProcess } from './nodes-process.ts';
import { deliveriesIn, Publisher, type PublishReply } from './publisher.ts';

const PUBLISHERS = 6;
const INTERVAL_MS = 170;
/** How many broadcasts a batch has. */
const BATCH_SIZE = [2, 10] as const;
/** Of all requests. With a mean size of 6, half of all broadcasts travel in batches. */
const BATCH_SHARE = 1 / 7;
/** One broadcast of so many goes to everyone. */
const EVERYONE_INTERVAL = 8;
/** The server answers within 2 s in every case. A busy machine may take longer. */
const REPLY_TIMEOUT_MS = 15_000;

/** Posts broadcasts with sequence numbers, singly and in batches, and records their answers. */
export class NodesPublishers {
  /** By sequence number. */
  readonly posted: Posted[] = [];
  readonly batches: BatchPublisher;
  readonly #nodes: readonly NodeProcess[];
  readonly #publishers: ReadonlyMap<NodeProcess, Publisher>;
  readonly #random: Random;
  #lastSequence = 0;
  #isOver = false;
  #publishing: Promise<unknown> = Promise.resolve();

  constructor(nodes: readonly NodeProcess[], seed: number) {
    this.#nodes = nodes;
    this.#publishers = new Map(
      nodes.map((node) => [node, new Publisher(node.port, REPLY_TIMEOUT_MS)]),
    );
    this.#random = new Random(seed);
    this.batches = new BatchPublisher(async (body) => {
      const running = this.#running;
      if (running.length === 0) return undefined;
      return this.#publisherTo(this.#random.pick(running))
        .post(body)
        .catch(() => undefined);
    }, seed + 1);
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  start(): void {
    this.#publishing = Promise.all(Array.from({ length: PUBLISHERS }, () => this.#publish()));
  }

  /** Resolves when the last broadcast has been answered. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#publishing;
  }

  /** Resolves when the broadcast has been answered or has failed. */
  async post(node: NodeProcess, channel: string): Promise<void> {
    this.#lastSequence += 1;
    const sequence = this.#lastSequence;
    const postedAt = Date.now();
    const text = JSON.stringify({ sequence });
    const reply = await this.#publisherTo(node)
      .publish(channel, text)
      .catch(() => undefined);
    const answered = { answeredAt: Date.now(), ...classify(reply) };
    this.#record([{ sequence, request: sequence, channel, postedAt, ...answered }]);
  }

  /** Posts a batch with a message to each of the channels. Resolves when no further attempt will be made. */
  async postBatch(channels: readonly string[]): Promise<void> {
    const first = this.#lastSequence + 1;
    this.#lastSequence += channels.length;
    const postedAt = Date.now();
    const { answer, deliveries } = await this.batches.publish(first, channels);
    const common = { request: first, postedAt, answeredAt: Date.now(), answer };
    this.#record(
      channels.map((channel, index) => ({
        ...common,
        sequence: first + index,
        channel,
        deliveries: deliveries[index] ?? 0,
      })),
    );
  }

  close(): void {
    for (const publisher of this.#publishers.values()) publisher.close();
  }

  /** Nodes that are starting too: they refuse the connection, and the request fails. */
  get #running(): readonly NodeProcess[] {
    return this.#nodes.filter(({ isRunning }) => isRunning);
  }

  #publisherTo(node: NodeProcess): Publisher {
    const publisher = this.#publishers.get(node);
    if (publisher === undefined) throw new Error('There is no such node');
    return publisher;
  }

  /** Takes what one request posted. Requests are answered in any order. */
  #record(posted: readonly Posted[]): void {
    const first = posted[0]?.sequence ?? 0;
    const index = this.posted.findLastIndex(({ sequence }) => sequence < first) + 1;
    this.posted.splice(index, 0, ...posted);
  }

  async #publish(): Promise<void> {
    while (!this.#isOver) {
      const running = this.#running;
      if (this.#random.fraction() < BATCH_SHARE) {
        const [min, max] = BATCH_SIZE;
        const size = min + this.#random.below(max - min + 1);
        await this.postBatch(Array.from({ length: size }, () => this.#pickChannel()));
      } else if (running.length > 0) {
        await this.post(this.#random.pick(running), this.#pickChannel());
      }
      await delay(INTERVAL_MS * (0.5 + this.#random.fraction()));
    }
  }

  #pickChannel(): string {
    const isToEveryone = this.#random.fraction() < 1 / EVERYONE_INTERVAL;
    return isToEveryone ? EVERYONE : group(this.#random.below(GROUPS));
  }
}

/** Throws for a reply that no broadcast of this run may get. */
function classify(reply: PublishReply | undefined): Pick<Posted, 'answer' | 'deliveries'> {
  if (reply === undefined) return { answer: 'none', deliveries: 0 };
  const { status, body } = reply;
  const success = /^\{"message":"Success","deliveries":\d+(,"partial":true)?\}$/.exec(body);
  if (status === 200 && success !== null) {
    return { answer: success[1] ? 'partial' : 'success', deliveries: deliveriesIn(reply) };
  }
  if (status === 503) return { answer: 'unavailable', deliveries: 0 };
  throw new Error(`A broadcast was answered with ${status} ${body}`);
}
