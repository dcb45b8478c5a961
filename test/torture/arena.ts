import { setTimeout as delay } from 'node:timers/promises';
import type { Target } from './attack.ts';
import type { AttackerCalls } from './attacker.ts';
import { SLOW_READERS } from './attacks.ts';
import type { HonestCalls, HonestReport } from './honest.ts';
import { AUTH_TIMEOUT_SECONDS } from './idle.ts';
import { count, describeLine, type Line, mebibytes } from './report.ts';
import { type Ask, startHelper } from './rpc.ts';
import { freePort, METRICS_TOKEN, type Memory, ServerProcess } from './server-process.ts';
import type { Outcome } from './tally.ts';
import { ALLOWED_ORIGIN } from './upgrades.ts';

const MEBIBYTE = 1_024 * 1_024;

/** Small enough to be reached, large enough for honest messages of a mebibyte. */
export const SERVER_ENV = {
  AUTH_TIMEOUT_SECONDS: String(AUTH_TIMEOUT_SECONDS),
  MAX_BODY_BYTES: '1572864',
  ALLOWED_ORIGINS: ALLOWED_ORIGIN,
  METRICS: 'true',
  METRICS_TOKEN,
  LOG_LEVEL: 'info',
} as const;

/** From the last attack to the last socket that it left behind. */
const SETTLED_WITHIN_MS = 15_000;
const POLL_MS = 100;
/** The connections of the slow requests. */
const BACKGROUND_FILES = 400;
/** Connections that the publisher keeps, and the one that asks. */
const HONEST_FILES = 5;
/** How much more memory may be resident meanwhile, where the attack is on memory. */
const MAY_COST: Readonly<Record<string, number>> = {
  // With buffers of their own, 200 slow readers would take 800 MiB.
  [SLOW_READERS]: 256 * MEBIBYTE,
  'unread confirmations': 256 * MEBIBYTE,
  'pings, unread': 64 * MEBIBYTE,
  'tiny fragments': 64 * MEBIBYTE,
  'tiny chunks': 256 * MEBIBYTE,
  'unfinished bodies': 256 * MEBIBYTE,
  'finished bodies': 256 * MEBIBYTE,
};
/** Far more than any attack should cost, and less than a user would bear. */
const HONEST_WAIT_AT_MOST_MS = 5_000;
const LARGE_MESSAGES = 24;
/** Both halves of the machine are busier then; a server that waited for the slow would never come to an end. */
const SLOWER_AT_MOST = 5;
/** The close code of readers that are too slow. They do not read it, so the server is asked for it. */
const TOO_SLOW = 4429;
const RESTING_COLLECTIONS = 4;
const RESTING_MS = 250;
/** Growth between the rounds, and, in MiB, what is noise when a run is too short to settle. */
const GROWTH = 1.1;
const NOISE = { full: { heap: 0, rss: 0 }, quick: { heap: 16, rss: 32 } };

/** The server, the honest, the attacker, and what came of it. */
export class Arena {
  readonly lines: Line[] = [];
  readonly totals = {
    inputs: 0,
    distinctMessages: 0,
    handshakes: 0,
    published: 0,
    deliveries: 0,
    lost: 0,
    doubled: 0,
    reordered: 0,
  };
  passed = 0;
  failed = 0;
  readonly server: ServerProcess;
  readonly attacker: Ask<AttackerCalls>;
  readonly #honest: Ask<HonestCalls>;
  readonly #options: ArenaOptions;
  #subscriptions = 0;
  #idleFiles = 0;
  #beside: Promise<void> | undefined;
  readonly #ends: Memory[] = [];

  private constructor(
    server: ServerProcess,
    attacker: Ask<AttackerCalls>,
    honest: Ask<HonestCalls>,
    options: ArenaOptions,
  ) {
    this.server = server;
    this.attacker = attacker;
    this.#honest = honest;
    this.#options = options;
  }

  static async open(options: ArenaOptions): Promise<Arena> {
    const server = await ServerProcess.start(await freePort(), SERVER_ENV);
    const { ask: attacker } = startHelper<AttackerCalls>('./attacker.ts');
    const { ask: honest } = startHelper<HonestCalls>('./honest.ts');
    const arena = new Arena(server, attacker, honest, options);
    const group = { port: server.port, count: options.quick ? 10 : 20 };
    arena.#subscriptions = await honest('open', group);
    arena.#idleFiles = server.openFiles;
    return arena;
  }

  /** What an attack is told. */
  target(round: number, port = this.server.port): Target {
    return { ...this.#options, round, port };
  }

  /** Attacks one after another; `background` is the one that runs beside all others. */
  async round(round: number, names: readonly string[], background: string): Promise<void> {
    const target = this.target(round);
    if (names.includes(background)) {
      this.#beside ??= this.#attack(background, target).then((line) => this.#print(line));
    }
    for (const name of names) {
      if (name === background) continue;
      this.server.takePeak();
      const line = await this.#attack(name, target);
      await this.#settle(name);
      const after = await this.server.memory();
      const honest = await this.#honest('report', undefined);
      this.#print({ ...line, after, peakRss: this.server.takePeak(), honest });
    }
    // It takes 20 s whatever else happens: in a quick run once for both rounds.
    if (!this.#options.quick || round > 1) {
      await this.#beside;
      this.#beside = undefined;
    }
    await this.#settle(`round ${round}`);
    this.#ends.push(await this.#restingMemory());
  }

  /** Whether the second round left no more memory in use than the first. */
  compareRounds(): void {
    const [one, two] = this.#ends;
    if (one === undefined || two === undefined) throw new Error('two rounds were to be run');
    const noise = this.#options.quick ? NOISE.quick : NOISE.full;
    for (const what of ['heap', 'rss'] as const) {
      const most = Math.max(one[what] * GROWTH, one[what] + noise[what] * MEBIBYTE);
      this.verdict(
        two[what] <= most,
        `${what} after round one ${mebibytes(one[what])} MiB, after round two ${mebibytes(two[what])}`,
      );
    }
  }

  /** Sends the honest home; nothing of anyone is left. */
  async close(): Promise<void> {
    await this.#honest('close', undefined);
    this.#add(await this.#honest('report', undefined));
    const left = await this.server.connected();
    this.verdict(left === 0, `connected is ${left} at the end`);
    const { lost, doubled, reordered } = this.totals;
    this.verdict(lost + doubled + reordered === 0, 'no honest message lost, doubled or reordered');
  }

  /** Prints and counts one thing that had to be so. */
  verdict(isOk: boolean, what: string, faults: readonly string[] = []): void {
    if (isOk) this.passed += 1;
    else this.failed += 1;
    console.log(`${isOk ? 'ok  ' : 'FAIL'} ${what}`);
    for (const fault of faults) console.log(`       ${fault}`);
  }

  /** Counts what an attack sent. */
  count(outcome: Outcome): void {
    this.totals.inputs += outcome.tried;
    this.totals.distinctMessages += outcome.distinctMessages;
    this.totals.handshakes += outcome.handshakes;
  }

  async #attack(name: string, target: Target): Promise<Line> {
    const before = await this.server.memory();
    const begun = performance.now();
    const outcome =
      name === SLOW_READERS
        ? await this.#slowReaders(target)
        : await this.attacker('attack', { name, target });
    const seconds = (performance.now() - begun) / 1_000;
    return { round: target.round, name, outcome, before, after: before, seconds };
  }

  /** The honest must have every message of a mebibyte about as fast as they had them without the slow readers. */
  async #slowReaders(target: Target): Promise<Outcome> {
    const large = { count: LARGE_MESSAGES, bytes: MEBIBYTE };
    const alone = await this.#honest('large', large);
    const tooSlowBefore = await this.server.disconnects(TOO_SLOW);
    await this.attacker('openSlowReaders', target);
    const beside = await this.#honest('large', large);
    const outcome = await this.attacker('attack', { name: SLOW_READERS, target });
    const speed = `a large message ${describe(alone)} without slow readers, ${describe(beside)} with`;
    console.log(`     ${speed}`);
    const faults = [...outcome.faults];
    if (median(beside) > SLOWER_AT_MOST * median(alone)) faults.push(speed);
    const tooSlow = (await this.server.disconnects(TOO_SLOW)) - tooSlowBefore;
    if (tooSlow !== outcome.tried) faults.push(`only ${tooSlow} ended with ${TOO_SLOW}`);
    return { ...outcome, faults };
  }

  /** V8 gives pages back some time after the collection that freed them. */
  async #restingMemory(): Promise<Memory> {
    for (let collections = 1; collections < RESTING_COLLECTIONS; collections += 1) {
      await this.server.memory();
      await delay(RESTING_MS);
    }
    return this.server.memory();
  }

  /** Resolves when nothing of the attackers is left; that is so soon, or it is a leak. */
  async #settle(name: string): Promise<void> {
    const beside = this.#beside === undefined ? 0 : BACKGROUND_FILES;
    const most = this.#idleFiles + beside + HONEST_FILES;
    const deadline = performance.now() + SETTLED_WITHIN_MS;
    for (;;) {
      const files = this.server.openFiles;
      const connected = await this.server.connected();
      if (files <= most && connected === this.#subscriptions) return;
      if (performance.now() > deadline) {
        const left = `${files - this.#idleFiles} sockets and ${connected - this.#subscriptions} subscriptions`;
        this.verdict(false, `${name} leaves ${left}`);
        return;
      }
      await delay(POLL_MS);
    }
  }

  #print(line: Line): void {
    const { name, outcome, before, peakRss, honest } = line;
    const faults = [...outcome.faults];
    if (outcome.asPromised !== outcome.tried) {
      faults.push(`${count(outcome.tried - outcome.asPromised)} not as promised`);
    }
    if (honest !== undefined) {
      this.#add(honest);
      faults.push(...honest.faults);
      for (const wrong of ['lost', 'doubled', 'reordered'] as const) {
        if (honest[wrong] > 0) faults.push(`honest: ${honest[wrong]} ${wrong}`);
      }
      if (honest.slowestMs > HONEST_WAIT_AT_MOST_MS) faults.push('the honest had to wait');
    }
    const allowed = MAY_COST[name];
    if (allowed !== undefined && peakRss !== undefined && peakRss - before.rss > allowed) {
      faults.push(`cost ${mebibytes(peakRss - before.rss)} MiB`);
    }
    this.count(outcome);
    this.lines.push(line);
    this.verdict(faults.length === 0, describeLine(line), faults);
  }

  #add({ published, deliveries, lost, doubled, reordered }: HonestReport): void {
    this.totals.published += published;
    this.totals.deliveries += deliveries;
    this.totals.lost += lost;
    this.totals.doubled += doubled;
    this.totals.reordered += reordered;
  }
}

export interface ArenaOptions {
  readonly quick: boolean;
  readonly seed: number;
}

function describe(durations: readonly number[]): string {
  return `${Math.round(median(durations))} ms, at most ${Math.round(Math.max(...durations))} ms,`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
