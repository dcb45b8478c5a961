import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../support/random.ts';
import { EVERYONE, GROUPS, group } from './nodes-channels.ts';
import type { Posted } from './nodes-oracle.ts';
import type { NodeProcess } from './nodes-process.ts';
import { deliveriesIn, Publisher, type PublishReply } from './publisher.ts';

const PUBLISHERS = 6;
const INTERVAL_MS = 100;
/** One broadcast of so many goes to everyone. */
const EVERYONE_INTERVAL = 8;
/** The server answers within 2 s in every case. A busy machine may take longer. */
const REPLY_TIMEOUT_MS = 15_000;

/** Posts broadcasts with sequence numbers and records their answers. */
export class NodesPublishers {
  /** By sequence number. */
  readonly posted: Posted[] = [];
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
    const reply = await this.#publishers
      .get(node)
      ?.publish(channel, text)
      .catch(() => undefined);
    const posted = { sequence, channel, postedAt, answeredAt: Date.now(), ...classify(reply) };
    // Answers come in any order.
    const index = this.posted.findLastIndex((other) => other.sequence < sequence) + 1;
    this.posted.splice(index, 0, posted);
  }

  close(): void {
    for (const publisher of this.#publishers.values()) publisher.close();
  }

  async #publish(): Promise<void> {
    while (!this.#isOver) {
      const isToEveryone = this.#random.fraction() < 1 / EVERYONE_INTERVAL;
      const channel = isToEveryone ? EVERYONE : group(this.#random.below(GROUPS));
      // Nodes that are starting run too. They refuse the connection, and the broadcast fails.
      const running = this.#nodes.filter(({ isRunning }) => isRunning);
      if (running.length > 0) await this.post(this.#random.pick(running), channel);
      await delay(INTERVAL_MS * (0.5 + this.#random.fraction()));
    }
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
