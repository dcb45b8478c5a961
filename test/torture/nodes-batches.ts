import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../support/random.ts';
import { sign } from '../support/tokens.ts';
import type { Answer } from './nodes-oracle.ts';
import type { PublishReply } from './publisher.ts';

const RETRY_INTERVAL_MS = 400;
/** Longer than any downtime, and shorter than the 120 s for which a `jti` is remembered. */
const RETRYING_MS = 20_000;
/** Of the first answers so many get lost on their way, whatever they say. */
const LOST_ANSWERS = 0.5;

/** What became of a batch. */
export interface BatchAnswer {
  readonly answer: Answer;
  /** Of each broadcast; empty when it is not known. */
  readonly deliveries: readonly number[];
}

/** Posts to any node that runs; resolves to undefined when there is no reply. */
export type PostToAnyNode = (body: string) => Promise<PublishReply | undefined>;

/** Posts batches, and the same bytes again until a 200 arrives, as a publisher does that must not lose a message. */
export class BatchPublisher {
  batches = 0;
  /** Requests after the first of a batch. */
  retries = 0;
  /** Answers that say that the batch had been delivered already. */
  duplicates = 0;
  readonly #post: PostToAnyNode;
  readonly #random: Random;

  constructor(post: PostToAnyNode, seed: number) {
    this.#post = post;
    this.#random = new Random(seed);
  }

  /** One message with a sequence number, counted up from `first`, to each of the channels. */
  async publish(first: number, channels: readonly string[]): Promise<BatchAnswer> {
    this.batches += 1;
    const broadcasts = channels.map((channel, index) => ({
      channel,
      message: { sequence: first + index },
    }));
    const body = JSON.stringify({ token: sign({ broadcasts, jti: randomUUID() }) });
    const end = performance.now() + RETRYING_MS;
    let isAnswerLost = this.#random.fraction() < LOST_ANSWERS;
    for (;;) {
      const reply = await this.#post(body);
      const answered = this.#classify(isAnswerLost ? undefined : reply, channels.length);
      isAnswerLost = false;
      const isOver = performance.now() > end;
      if (answered.answer === 'success' || answered.answer === 'partial' || isOver) return answered;
      this.retries += 1;
      await delay(RETRY_INTERVAL_MS * this.#random.fraction());
    }
  }

  /** Throws for a reply that no batch of this run may get. */
  #classify(reply: PublishReply | undefined, size: number): BatchAnswer {
    if (reply === undefined) return { answer: 'none', deliveries: [] };
    const { status, body } = reply;
    if (status === 503) return { answer: 'unavailable', deliveries: [] };
    const [, sum, results, partial, duplicate] = SUCCESS.exec(body) ?? [];
    const deliveries = Array.from(results?.matchAll(/\d+/g) ?? [], Number);
    const isWhole = deliveries.length === size || (deliveries.length === 0 && partial && duplicate);
    if (status !== 200 || !isWhole || deliveries.reduce((a, b) => a + b, 0) !== Number(sum)) {
      throw new Error(`A batch of ${size} was answered with ${status} ${body}`);
    }
    if (duplicate) this.duplicates += 1;
    return { answer: partial ? 'partial' : 'success', deliveries };
  }
}

const SUCCESS =
  /^\{"message":"Success","deliveries":(\d+),"results":\[(.*)\](?:,"position":"[^"]+")?(,"partial":true)?(,"duplicate":true)?\}$/;
