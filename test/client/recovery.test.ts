import { describe, expect, it } from 'vitest';
import { BifrostClient } from '../../src/client/index.ts';
import { Random } from '../support/random.ts';
import { createNetwork, createPage } from './network.ts';
import { type HistoryOptions, RecoveryServer } from './recovery-server.ts';
import { SimulatedClock } from './simulated-clock.ts';

interface Story extends HistoryOptions {
  /** Each a list of channels; for every connection one choice of several. */
  readonly tokens: readonly (readonly string[])[];
  /** Whether the history may be lost, and the server may call the client too slow. */
  readonly mayLose: boolean;
}

/** What the app was told, in its order. */
type Told =
  | { readonly id: number; readonly channel: string }
  /** All broadcasts up to `upTo` may be missing. */
  | { readonly gap: string; readonly upTo: number };

/** Lets a client live through random cuts, and keeps what it tells the app. */
class Trial {
  readonly server: RecoveryServer;
  readonly told: Told[] = [];
  /** Channel → the newest broadcast when the client first learned that it was subscribed. */
  readonly subscribedAt = new Map<string, number>();
  readonly channels: readonly string[];
  /** Broadcasts by id; those with `history` false may be lost without notice. */
  readonly posted = new Map<number, { channel: string; history: boolean }>();
  readonly #story: Story;
  readonly #random: Random;
  readonly #network = createNetwork();
  readonly #client: BifrostClient;
  readonly #page = createPage();
  readonly #clock: SimulatedClock;
  #tokens: readonly string[] = [];
  #confirmed: readonly string[] = [];
  #expected: { id?: number; isReplay?: boolean } = {};

  constructor(story: Story, seed: number) {
    this.#story = story;
    this.#random = new Random(seed);
    this.server = new RecoveryServer(story);
    this.channels = [...new Set(story.tokens.flat().flatMap((token) => token.split(',')))];
    this.#clock = new SimulatedClock(this.#random);
    const { WebSocket } = this.#network;
    this.#client = new BifrostClient('ws://bifrost', { WebSocket, token: () => this.#tokens });
    this.#client.on('posted', (id, { channel, replayed }) => {
      expect([id, replayed]).toEqual([this.#expected.id, this.#expected.isReplay]);
      this.told.push({ id: Number(id), channel: String(channel) });
    });
    this.#client.onGap(({ channels }) => {
      for (const gap of channels) this.told.push({ gap, upTo: this.server.lastId });
    });
    this.#client.connect();
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      await this.#step(this.#random.below(100));
      expect(this.#network.sockets.filter((socket) => socket.isAttached).length).toBeLessThan(2);
    }
    // All is well from now on, and a last broadcast on each channel shows that nothing comes before it any more.
    while (this.#client.state !== 'connected') await this.#settle();
    await this.#settle();
    for (const channel of this.channels) this.#publish(channel, true);
    await this.#settle();
    this.#client.close();
    expect([this.#network.last.isClosed, this.#clock.timers]).toEqual([true, 0]);
  }

  async #step(dice: number): Promise<void> {
    const { connection } = this.server;
    if (dice < 35) this.#publish(this.#random.pick(this.channels), this.#random.below(20) > 0);
    else if (connection === undefined || connection.socket.isClosed) await this.#accept();
    else if (dice < 60) this.#receive(this.#random.below(6));
    else if (dice < 75) connection.answer();
    else if (dice < 80) this.#page.dispatch('online');
    else if (dice < 85) await this.#clock.pass(this.#random.below(3_000));
    else if (dice < 97 || !this.#story.mayLose) {
      connection.socket.end(this.#random.pick([1001, 1006]));
    } else if (dice < 99) {
      this.server.restart();
      // Without a cut the server goes on with a new epoch, as Redis may.
      if (this.#random.below(4) > 0) connection.socket.end(1006);
    } else connection.socket.end(4429);
  }

  #publish(channel: string, history: boolean): void {
    this.server.publish(channel, history);
    this.posted.set(this.server.lastId, { channel, history });
  }

  async #accept(): Promise<void> {
    // Longer than the longest delay, shorter than the deadline of the handshake that follows it.
    while (this.#network.last.isClosed) await this.#clock.pass(1_000);
    const socket = this.#network.last;
    if (socket.isClosed || this.server.connection?.socket === socket) return;
    this.#confirmed = [];
    this.#tokens = this.#random.pick(this.#story.tokens);
    this.server.accept(socket);
    await this.#clock.pass(0);
  }

  #receive(frames: number): void {
    for (let n = 0; n < frames; n += 1) {
      const { socket, queue } = this.server.connection ?? {};
      const frame = socket?.isClosed ? undefined : queue?.shift();
      if (frame === undefined) return;
      this.#expected = frame;
      socket?.receive(frame.text);
      // Without positions, what comes behind the confirmations shows that they were all.
      if (this.#story.knowsPositions) this.#noteSubscribed(frame.subscribed ?? []);
      else if (frame.subscribed) this.#confirmed = frame.subscribed;
      else this.#noteSubscribed(this.#confirmed);
    }
  }

  #noteSubscribed(channels: readonly string[]): void {
    for (const channel of channels) {
      if (!this.subscribedAt.has(channel)) this.subscribedAt.set(channel, this.server.lastId);
    }
  }

  async #settle(): Promise<void> {
    await this.#accept();
    for (const _ of this.#tokens) this.server.connection?.answer();
    this.#receive(10_000);
    await this.#clock.pass(1_000);
  }

  /** The broadcasts of a channel that the app did not get, although it was told nothing. */
  lostInSilence(channel: string): number[] {
    const told = this.told.filter((one) => ('id' in one ? one.channel : one.gap) === channel);
    const received = new Set(told.map((one) => ('id' in one ? one.id : 0)));
    const from = this.subscribedAt.get(channel) ?? Number.POSITIVE_INFINITY;
    return [...this.posted.keys()].filter((id) => {
      const broadcast = this.posted.get(id);
      if (broadcast?.channel !== channel || !broadcast.history) return false;
      if (id <= from || received.has(id)) return false;
      const next = told.findIndex((one) => 'id' in one && one.id > id);
      return !told.slice(0, next).some((one) => 'gap' in one && one.upTo >= id);
    });
  }

  /** Those that came twice or after a later one. */
  outOfOrder(channel: string): number[] {
    const ids = this.told.flatMap((one) =>
      'id' in one && one.channel === channel ? [one.id] : [],
    );
    return ids.filter((id, n) => n > 0 && id <= (ids[n - 1] as number));
  }
}

const MEMORY: Story = {
  knowsPositions: true,
  kept: 10_000,
  maxReplays: 10_000,
  answersLater: false,
  tokens: [['a,b,c']],
  mayLose: false,
};
const SEVERAL_TOKENS = [['a,b', 'c,a,c', 'd']];
const SEEDS = Array.from({ length: 10 }, (_, seed) => seed);

async function tryOut(story: Story, check: (trial: Trial, seed: number) => void): Promise<void> {
  for (const seed of SEEDS) {
    const trial = new Trial(story, seed);
    await trial.run(200);
    expect(trial.subscribedAt.size).toBeGreaterThan(0);
    for (const channel of trial.channels) {
      expect([seed, channel, trial.outOfOrder(channel)]).toEqual([seed, channel, []]);
      // A channel that some tokens leave out may miss something between the others.
      if (!story.tokens.every((tokens) => tokens.join().includes(channel))) continue;
      expect([seed, channel, trial.lostInSilence(channel)]).toEqual([seed, channel, []]);
    }
    check(trial, seed);
  }
}

const gapsOf = (trial: Trial) => trial.told.filter((one) => 'gap' in one);

describe('a client that is cut again and again', () => {
  it.each([
    ['one token', MEMORY],
    ['several tokens', { ...MEMORY, tokens: SEVERAL_TOKENS }],
    ['several tokens, answered later', { ...MEMORY, tokens: SEVERAL_TOKENS, answersLater: true }],
  ])('receives everything once and in order, with %s', async (_, story) => {
    await tryOut(story, (trial, seed) => {
      expect([seed, gapsOf(trial)]).toEqual([seed, []]);
    });
  });

  it.each([
    ['one token', { ...MEMORY, mayLose: true }],
    ['several tokens', { ...MEMORY, mayLose: true, tokens: SEVERAL_TOKENS }],
    ['a short history', { ...MEMORY, kept: 3, tokens: SEVERAL_TOKENS, answersLater: true }],
    ['few replays', { ...MEMORY, maxReplays: 4, mayLose: true, answersLater: true }],
    [
      'other tokens each time',
      { ...MEMORY, mayLose: true, answersLater: true, tokens: [['a,b', 'c'], ['c,a'], ['a', 'b']] },
    ],
    ['a server without positions', { ...MEMORY, knowsPositions: false, tokens: [['a']] }],
  ])('is told of every loss, with %s', async (_, story) => {
    let gaps = 0;
    await tryOut(story, (trial) => {
      gaps += gapsOf(trial).length;
    });
    // Else nothing would have been tried.
    expect(gaps).toBeGreaterThan(SEEDS.length);
  });
});
