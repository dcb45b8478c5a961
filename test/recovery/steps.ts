import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Channel } from '../../src/protocol/channel.ts';
import type { Publication, PublicationBatch } from '../../src/protocol/publishing.ts';
import { ModelClient } from './model-client.ts';
import type { SimulatedConnection } from './simulated-connection.ts';
import { World, type WorldOptions } from './world.ts';

/** Turns of the event loop after which nothing is under way any more. */
const SETTLE_TURNS = 60;
/** Turns that a node takes to be subscribed again. */
const BLINK_TURNS = 6;
const HOUR_MS = 3_600_000;

const CHANNELS = ['a', 'b', 'c'] as const;

/** The tokens of each client. */
const CLIENTS = [[['a', 'b']], [['a', 'b', 'c', 'a']], [['c']], [['a'], ['b', 'c'], []]] as const;

export type Step =
  | { readonly kind: 'publish'; readonly node: number; readonly entries: readonly Entry[] }
  /** Posts the batch before once more. */
  | { readonly kind: 'post again'; readonly node: number }
  | { readonly kind: 'come back'; readonly client: number; readonly node: number }
  | { readonly kind: 'add token'; readonly client: number; readonly channel: number }
  | { readonly kind: 'ping'; readonly client: number }
  | { readonly kind: 'read'; readonly client: number; readonly bytes: number }
  /** The connection is cut after so many bytes more. The server notices now, or never. */
  | {
      readonly kind: 'cut';
      readonly client: number;
      readonly bytes: number;
      readonly isNoticed: boolean;
    }
  | { readonly kind: 'turn'; readonly turns: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'tick' }
  | { readonly kind: 'lose'; readonly node: number }
  | { readonly kind: 'regain'; readonly node: number }
  /** A node loses the bus and has it back while others publish. */
  | { readonly kind: 'blink'; readonly node: number }
  /** The process ends, in an orderly way or not, and another begins, when its clock has jumped. */
  | { readonly kind: 'restart'; readonly isOrderly: boolean; readonly jumpMs: number };

interface Entry {
  readonly channels: readonly (typeof CHANNELS)[number][];
  readonly isKept: boolean;
  readonly padding: number;
}

const index = fc.nat(5);

const entry: fc.Arbitrary<Entry> = fc.record({
  channels: fc.uniqueArray(fc.constantFrom(...CHANNELS), { minLength: 1, maxLength: 3 }),
  isKept: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.constant(false)),
  padding: fc.oneof({ weight: 9, arbitrary: fc.nat(20) }, fc.nat(1_500)),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant('publish'),
      node: index,
      entries: fc.oneof(
        { weight: 3, arbitrary: fc.array(entry, { minLength: 1, maxLength: 1 }) },
        fc.array(entry, { minLength: 2, maxLength: 8 }),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('post again'), node: index }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('come back'), client: index, node: index }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('add token'), client: index, channel: index }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('ping'), client: index }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('read'), client: index, bytes: fc.nat(400) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('cut'),
      client: index,
      bytes: fc.oneof(fc.nat(600), fc.constant(10_000_000)),
      isNoticed: fc.boolean(),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('turn'), turns: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.nat(1_500) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tick') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose'), node: index }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('regain'), node: index }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('blink'), node: index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('restart'),
      isOrderly: fc.boolean(),
      jumpMs: fc.oneof(fc.constant(0), fc.constant(-HOUR_MS), fc.constant(HOUR_MS)),
    }),
  },
) as fc.Arbitrary<Step>;

export const steps = fc.array(step, { minLength: 1, maxLength: 120, size: 'max' });

/** A server and its clients, to whom the steps happen. */
export class Run {
  readonly #world: World;
  readonly #clients: readonly ModelClient[];
  /** Connections that are cut and of which the server does not know it. */
  readonly #halfOpen = new Set<SimulatedConnection>();
  readonly #nodes: number;
  readonly #hasFile: boolean;
  #published = 0;
  #last: PublicationBatch | undefined;

  /** `path` is that of a file that nobody else uses. To be followed by `begin`. */
  constructor(options: WorldOptions, path: string) {
    this.#world = new World(options, path);
    this.#nodes = options.nodes;
    this.#hasFile = options.hasFile;
    this.#clients = CLIENTS.map((tokens) => new ModelClient(this.#world.oracle, tokens));
  }

  begin(): Promise<void> {
    return this.#world.start();
  }

  async take(step: Step): Promise<void> {
    const client = 'client' in step ? this.#client(step.client) : undefined;
    switch (step.kind) {
      case 'publish':
        this.#publish(step.node, step.entries);
        return;
      case 'post again':
        this.#postAgain(step.node);
        return;
      case 'come back':
        if (client !== undefined) this.#comeBack(client, step.node);
        return;
      case 'add token':
        client?.addToken([CHANNELS[step.channel % CHANNELS.length] ?? 'a']);
        return;
      case 'ping':
        client?.ping();
        return;
      case 'read':
        client?.read(step.bytes);
        return;
      case 'cut':
        this.#cut(client, step.bytes, step.isNoticed);
        return;
      case 'turn':
        for (let n = 0; n < step.turns; n += 1) await turn();
        return;
      case 'advance':
        this.#world.advance(step.ms);
        return;
      case 'tick':
        this.#world.tick();
        return;
      case 'lose':
        this.#world.lose(step.node);
        return;
      case 'regain':
        this.#world.regain(step.node);
        return;
      case 'blink':
        await this.#blink(step.node);
        return;
      case 'restart':
        await this.#restart(step.isOrderly, step.jumpMs);
        return;
    }
  }

  /** Everybody comes back and reads to the end: nothing may be missing that was not announced. */
  async finish(): Promise<void> {
    for (let node = 0; node < this.#nodes; node += 1) this.#world.regain(node);
    await this.#settle();
    for (const [node, client] of this.#clients.entries()) {
      this.#cut(client, Number.POSITIVE_INFINITY, true);
      this.#comeBack(client, node);
    }
    await this.#settle();
    for (const client of this.#clients) {
      client.read();
      client.expectComplete();
    }
    expect(this.#world.oracle.tooOld, 'nothing is replayed that is too old').toEqual([]);
    for (const connection of this.#halfOpen) connection.notice();
    for (const client of this.#clients) client.connection?.notice();
  }

  async #blink(node: number): Promise<void> {
    this.#world.lose(node);
    this.#world.regain(node);
    for (let n = 0; n < BLINK_TURNS; n += 1) {
      this.#publish(node + 1, [{ channels: CHANNELS, isKept: true, padding: 0 }]);
      await turn();
    }
  }

  async #restart(isOrderly: boolean, jumpMs: number): Promise<void> {
    for (const each of this.#clients) each.cut(0);
    this.#halfOpen.clear();
    // The memory of requests is gone too.
    this.#last = undefined;
    if (isOrderly) {
      await this.#settle();
      await this.#world.stop();
    } else {
      this.#world.kill();
    }
    const { epoch } = this.#world;
    this.#world.setClock(jumpMs);
    await this.#world.start();
    const goesOn = isOrderly && this.#hasFile;
    expect(this.#world.epoch === epoch, 'what was kept is known again, or is not').toBe(goesOn);
  }

  #client(at: number): ModelClient | undefined {
    return this.#clients[at % this.#clients.length];
  }

  #publish(node: number, entries: readonly Entry[]): void {
    const publications: Publication[] = [];
    for (const { channels, isKept, padding } of entries) {
      this.#published += 1;
      const message = JSON.stringify({ n: this.#published, padding: 'x'.repeat(padding) });
      for (const channel of channels) {
        publications.push({ channel: channel as Channel, message, isKept });
      }
    }
    const entrySizes = entries.map(({ channels }) => channels.length);
    const isBatch = publications.length > 1;
    const jti = isBatch ? `${this.#published}` : undefined;
    const batch = { publications, entrySizes, jti };
    if (isBatch) this.#last = batch;
    this.#world.publish(node, batch, isBatch);
  }

  #postAgain(node: number): void {
    if (this.#last !== undefined) this.#world.publish(node, this.#last, true);
  }

  #comeBack(client: ModelClient, node: number): void {
    if (client.connection?.isOpen === true) return;
    // What the server wrote before it closed the connection still arrives.
    this.#cut(client, Number.POSITIVE_INFINITY, true);
    client.connect(this.#world.connect(node));
  }

  #cut(client: ModelClient | undefined, bytes: number, isNoticed: boolean): void {
    const connection = client?.cut(bytes);
    if (connection === undefined) return;
    if (isNoticed) connection.notice();
    else this.#halfOpen.add(connection);
  }

  async #settle(): Promise<void> {
    for (let n = 0; n < SETTLE_TURNS; n += 1) await turn();
  }
}
