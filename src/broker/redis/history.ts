import { randomUUID } from 'node:crypto';
import { parsePosition } from '../../protocol/position.ts';
import type { BatchOutcome, BusBatch, BusRecoveryRequest } from '../bus.ts';
import { createEpoch } from '../epoch.ts';
import { REMEMBERED_MS } from '../request-memory.ts';
import type { RedisClient } from './client.ts';
import { OPEN_HISTORY, PUBLISH_AND_KEEP, RECOVER, TICK } from './history-scripts.ts';
import { type HistoryListener, HistoryTexts } from './history-texts.ts';
import { type RedisScript, runScript } from './scripts.ts';

/** What a history keeps of each channel. */
export interface HistoryLimits {
  readonly messages: number;
  readonly ageMs: number;
}

export interface RedisHistoryOptions {
  /** The connection that runs the scripts. */
  readonly client: RedisClient;
  /** What every key and topic begins with. */
  readonly prefix: string;
  readonly limits: HistoryLimits;
}

/**
 * Of one answer, in bytes of message texts. Redis ends the connection of a subscriber for which more than 32 MB wait
 * (`client-output-buffer-limit pubsub`), and four answers may be on their way at a time.
 */
const MAX_REPLAY_BYTES = 4 * 1_024 * 1_024;

/**
 * The history as one session of this node sees it. All answers come as texts on `topic`, which the node subscribes to
 * before anything else: they keep their place among the broadcasts that way.
 */
export class RedisHistory {
  /** New for each session, so that no answer to an earlier one is taken for one of this. */
  readonly topic: string;
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #limits: HistoryLimits;
  readonly #texts = new HistoryTexts();
  /** Which Redis the session leads to. */
  #master: unknown;

  constructor({ client, prefix, limits }: RedisHistoryOptions) {
    this.#client = client;
    this.#prefix = prefix;
    this.#limits = limits;
    this.topic = `${prefix}session:${randomUUID()}`;
  }

  /** Must have resolved before anything else is called. */
  async open(): Promise<void> {
    this.#master = await this.#run(OPEN_HISTORY, []);
  }

  /**
   * Has the position of now published to `topic`, and resolves when it has come. Rejects when the session leads to another
   * master than it did. One at a time.
   */
  async tick(): Promise<void> {
    const arrived = this.#texts.nextTick();
    this.#expectMaster(await this.#run(TICK, [this.topic]));
    await arrived;
  }

  /** `key` is of the batch's `jti`. */
  async publish(batch: BusBatch, key: string | undefined): Promise<BatchOutcome> {
    const { head, texts, textOf, kept } = batch;
    const topics = batch.topics.flatMap((topic, at) => [
      topic,
      String(textOf[at]),
      kept[at] ? '1' : '0',
    ]);
    const values = [head, String(REMEMBERED_MS), String(texts.length), ...texts];
    const reply = await this.#run(PUBLISH_AND_KEEP, [...values, ...topics], key);
    if (reply === null) return 'duplicate';
    const [reached, position] = Array.isArray(reply) ? reply : [];
    if (typeof reached !== 'number') throw new Error('Redis answered a script with no number');
    return { reached, position: String(position) };
  }

  /** Has what was missed published to `topic`, and then the verdicts. Rejects as `tick` does. */
  async recover(id: number, request: BusRecoveryRequest): Promise<void> {
    const { since, topics, maxMessages, maxBytes } = request;
    const position = since === null ? undefined : parsePosition(since);
    const { epoch = '', number = 0 } = position ?? {};
    this.#texts.expect(id, request);
    const values = [
      id,
      epoch,
      number,
      maxMessages,
      Math.floor(Math.min(maxBytes, MAX_REPLAY_BYTES)),
    ].map(String);
    // Without a position there is nothing to look for, and only the position of now is asked for.
    const asked = position === undefined ? [] : topics;
    try {
      this.#expectMaster(await this.#run(RECOVER, [this.topic, ...values, ...asked]));
    } catch (error) {
      this.#texts.forget(id);
      throw error;
    }
  }

  /** Takes a text that came on `topic`. False when no script of ours can have published it. */
  receive(text: string, listener: HistoryListener): boolean {
    return this.#texts.receive(text, listener);
  }

  /** A failover may change the master and keep its connections. What was published elsewhere meanwhile never came here. */
  #expectMaster(master: unknown): void {
    if (master === this.#master) return;
    throw new MasterChanged('Redis has had a failover, or has evicted keys');
  }

  #run(script: RedisScript, values: readonly string[], key?: string): Promise<unknown> {
    const { messages, ageMs } = this.#limits;
    const limits = [String(messages), String(Math.round(ageMs * 1_000))];
    return runScript(this.#client, script, {
      keys: [`${this.#prefix}history`, ...(key === undefined ? [] : [key])],
      arguments: [createEpoch(), ...limits, this.#prefix, ...values],
    });
  }
}

/** The connection leads to another master than it did, which is a loss. */
export class MasterChanged extends Error {}
