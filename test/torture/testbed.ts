import { setTimeout as delay } from 'node:timers/promises';
import { type CallChild, startRpcChild } from '../support/child-rpc.ts';
import { type Progress, printLine } from '../support/progress.ts';
import type { Target } from './attack.ts';
import type { AttackerProcedures } from './attacker-process.ts';
import { SLOW_READERS } from './attacks.ts';
import type { ControlGroupProcedures } from './control-group-process.ts';
import { AUTH_TIMEOUT_SECONDS } from './idle-connections.ts';
import { type AttackResult, MEBIBYTE, mebibytes } from './report.ts';
import type { Outcome } from './result-collector.ts';
import { RunResults } from './run-results.ts';
import { METRICS_TOKEN, type Memory, ServerUnderTest } from './server-under-test.ts';
import { ALLOWED_ORIGIN } from './upgrades.ts';

export const SERVER_ENV = {
  AUTH_TIMEOUT_SECONDS: String(AUTH_TIMEOUT_SECONDS),
  // Small enough to be reached, large enough for control messages of a mebibyte.
  MAX_BODY_BYTES: '1572864',
  ALLOWED_ORIGINS: ALLOWED_ORIGIN,
  METRICS: 'true',
  METRICS_TOKEN,
  LOG_LEVEL: 'info',
} as const;

/** From the end of an attack to the close of its last socket. */
const CLEANUP_TIMEOUT_MS = 15_000;
const POLL_INTERVAL_MS = 100;
/** The connections of the attack that runs beside all others. */
const BACKGROUND_FILES = 400;
/** The kept connections of the control group's publisher, and the one that asks for the open files. */
const CONTROL_FILES = 5;
const LARGE_MESSAGES = 24;
/** Slow readers keep both cores busy. A server that waited for them would never deliver the message. */
const MAX_SLOWDOWN = 5;
/** The close code of readers that are too slow. They do not read it, so the server's metrics tell. */
const TOO_SLOW = 4429;
/** V8 gives pages back some time after the collection that freed them. */
const RESTING_COLLECTIONS = 4;
const RESTING_INTERVAL_MS = 250;
/** Of memory, from the first round to the second. */
const MAX_GROWTH = 1.1;
/** Growth in MiB that always passes: a quick run is too short for memory to settle. */
const NOISE = { full: { heap: 0, rss: 0 }, quick: { heap: 16, rss: 32 } };

export interface TestbedOptions {
  readonly quick: boolean;
  readonly seed: number;
}

/** The server under test, the process that attacks it, and the control group, whose deliveries are checked meanwhile. */
export class Testbed {
  readonly results = new RunResults();
  readonly server: ServerUnderTest;
  readonly callAttacker: CallChild<AttackerProcedures>;
  readonly #callControlGroup: CallChild<ControlGroupProcedures>;
  readonly #options: TestbedOptions;
  #controlSubscriptions = 0;
  #idleFiles = 0;
  #background: Promise<void> | undefined;
  /** At the end of each round. */
  readonly #restingMemory: Memory[] = [];

  private constructor(server: ServerUnderTest, options: TestbedOptions) {
    this.server = server;
    this.#options = options;
    const start = (file: string) => startRpcChild(new URL(file, import.meta.url)).call;
    this.callAttacker = start('./attacker-process.ts');
    this.#callControlGroup = start('./control-group-process.ts');
  }

  static async open(options: TestbedOptions): Promise<Testbed> {
    const testbed = new Testbed(await ServerUnderTest.start({ env: SERVER_ENV }), options);
    const group = { port: testbed.server.port, count: options.quick ? 10 : 20 };
    testbed.#controlSubscriptions = await testbed.#callControlGroup('open', group);
    testbed.#idleFiles = testbed.server.openFiles;
    return testbed;
  }

  target(round: number, port = this.server.port): Target {
    return { ...this.#options, round, port };
  }

  /** Runs attacks one after another, and the one called `background` beside them. Each is a step of `progress`. */
  async runRound(
    round: number,
    names: readonly string[],
    { background, progress }: { readonly background: string; readonly progress: Progress },
  ): Promise<void> {
    const target = this.target(round);
    if (names.includes(background)) {
      this.#background ??= this.#runAttack(background, target).then((result) =>
        this.results.addAttack(result),
      );
    }
    for (const name of names) {
      if (name === background) continue;
      progress.next();
      await this.#runMeasured(name, target);
    }
    progress.next();
    // The background attack takes 20 s. A quick run has it once for both rounds.
    if (!this.#options.quick || round > 1) {
      await this.#background;
      this.#background = undefined;
    }
    await this.#untilCleanedUp(`round ${round}`);
    this.#restingMemory.push(await this.#measureRestingMemory());
  }

  /** Whether the second round left no more memory in use than the first. */
  compareRounds(): void {
    const [first, second] = this.#restingMemory;
    if (first === undefined || second === undefined) throw new Error('Two rounds must have run');
    const noise = this.#options.quick ? NOISE.quick : NOISE.full;
    for (const key of ['heap', 'rss'] as const) {
      const limit = Math.max(first[key] * MAX_GROWTH, first[key] + noise[key] * MEBIBYTE);
      this.results.verdicts.add(
        second[key] <= limit,
        `${key} after round one ${mebibytes(first[key])} MiB, after round two ${mebibytes(second[key])}`,
      );
    }
  }

  /** Closes the control group. No subscription may be left. */
  async close(): Promise<void> {
    const { verdicts, totals } = this.results;
    await this.#callControlGroup('close', undefined);
    this.results.addControlReport(await this.#callControlGroup('report', undefined));
    const left = await this.server.subscriptions();
    verdicts.add(left === 0, `connected is ${left} at the end`);
    const { lost, doubled, reordered } = totals;
    const isComplete = lost + doubled + reordered === 0;
    verdicts.add(isComplete, 'no control message lost, doubled or reordered');
  }

  async #runMeasured(name: string, target: Target): Promise<void> {
    this.server.takePeakRss();
    const result = await this.#runAttack(name, target);
    await this.#untilCleanedUp(name);
    const after = await this.server.memory();
    const control = await this.#callControlGroup('report', undefined);
    this.results.addAttack({ ...result, after, peakRss: this.server.takePeakRss(), control });
  }

  async #runAttack(name: string, target: Target): Promise<AttackResult> {
    const before = await this.server.memory();
    const startedAt = performance.now();
    const outcome =
      name === SLOW_READERS
        ? await this.#runSlowReaders(target)
        : await this.callAttacker('runAttack', { name, target });
    const seconds = (performance.now() - startedAt) / 1_000;
    return { round: target.round, name, outcome, before, after: before, seconds };
  }

  /** Large messages must reach the control group about as fast beside slow readers as without them. */
  async #runSlowReaders(target: Target): Promise<Outcome> {
    const large = { count: LARGE_MESSAGES, bytes: MEBIBYTE };
    const alone = await this.#callControlGroup('publishLarge', large);
    const tooSlowBefore = await this.server.disconnects(TOO_SLOW);
    await this.callAttacker('openSlowReaders', target);
    const beside = await this.#callControlGroup('publishLarge', large);
    const outcome = await this.callAttacker('runAttack', { name: SLOW_READERS, target });
    const speed = `a large message ${describe(alone)} without slow readers, ${describe(beside)} with`;
    printLine(`     ${speed}`);
    const faults = [...outcome.faults];
    if (median(beside) > MAX_SLOWDOWN * median(alone)) faults.push(speed);
    const tooSlow = (await this.server.disconnects(TOO_SLOW)) - tooSlowBefore;
    if (tooSlow !== outcome.inputs) faults.push(`only ${tooSlow} closed with ${TOO_SLOW}`);
    return { ...outcome, faults };
  }

  async #measureRestingMemory(): Promise<Memory> {
    for (let collections = 1; collections < RESTING_COLLECTIONS; collections += 1) {
      await this.server.memory();
      await delay(RESTING_INTERVAL_MS);
    }
    return this.server.memory();
  }

  /** Resolves when the server has closed all sockets of the attackers. Sockets that stay too long are a leak: a fault. */
  async #untilCleanedUp(name: string): Promise<void> {
    const backgroundFiles = this.#background === undefined ? 0 : BACKGROUND_FILES;
    const maxFiles = this.#idleFiles + backgroundFiles + CONTROL_FILES;
    const deadline = performance.now() + CLEANUP_TIMEOUT_MS;
    for (;;) {
      const files = this.server.openFiles;
      const subscriptions = await this.server.subscriptions();
      if (files <= maxFiles && subscriptions === this.#controlSubscriptions) return;
      if (performance.now() > deadline) {
        const sockets = `${files - this.#idleFiles} sockets`;
        const leaked = `${subscriptions - this.#controlSubscriptions} subscriptions`;
        this.results.verdicts.add(false, `${name} leaves ${sockets} and ${leaked}`);
        return;
      }
      await delay(POLL_INTERVAL_MS);
    }
  }
}

function describe(durations: readonly number[]): string {
  return `${Math.round(median(durations))} ms, at most ${Math.round(Math.max(...durations))} ms,`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
