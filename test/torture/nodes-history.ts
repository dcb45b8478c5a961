// A part of `npm run torture -- --nodes 3`: nodes with HISTORY=redis, clients that are cut off at random and come back
// to any node with their position. Nodes are killed, and cut off from Redis. First what Redis keeps is left alone: nothing
// may be lost, and nobody may be told of a gap. Then Redis is killed, emptied and failed over to a replica that is behind,
// and keeps few messages: whatever is lost must be announced.
import { setTimeout as delay } from 'node:timers/promises';
import { type RpcChild, startRpcChild } from '../support/child-rpc.ts';
import { freePort } from '../support/free-port.ts';
import { type Progress, printLine, type Step } from '../support/progress.ts';
import { Random } from '../support/random.ts';
import { EVERYONE } from './nodes-channels.ts';
import type { HistoryClientProcedures, HistoryReport } from './nodes-history-client-process.ts';
import { HistoryFaults } from './nodes-history-faults.ts';
import { NodeProcess } from './nodes-process.ts';
import { NodesPublishers } from './nodes-publishers.ts';
import { formatCount } from './report.ts';
import type { Verdicts } from './verdicts.ts';

const CLIENTS = 300;
const UNTOUCHED_MS = 60_000;
const QUICK_UNTOUCHED_MS = 8_000;
const ROUNDS = 4;
const WAIT_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 50;
/** Of a part with faults of Redis, about. */
const TOUCHED_SECONDS = 120;
const QUICK_TOUCHED_SECONDS = 40;
/** To start nodes and clients, and to settle and judge at the end, about. */
const AROUND_SECONDS = 8;
/** How long a broadcast may be on its way in the end. */
const SETTLING_MS = 300;
const ALL_MESSAGES = '5000';
const FEW_MESSAGES = '6';

export interface HistoryOptions {
  readonly nodes: number;
  readonly quick: boolean;
  readonly seed: number;
}

/** The parts of `tortureHistory`, in their order. */
export function historySteps(quick: boolean): readonly Step[] {
  const untouchedMs = quick ? QUICK_UNTOUCHED_MS : UNTOUCHED_MS;
  return [
    { title: 'HISTORY=redis, nodes are killed', seconds: untouchedMs / 1_000 + AROUND_SECONDS },
    {
      title: 'HISTORY=redis, Redis is killed, emptied and failed over',
      seconds: quick ? QUICK_TOUCHED_SECONDS : TOUCHED_SECONDS,
    },
  ];
}

/** Adds the verdicts of both parts. Each is a step of `progress`. */
export async function tortureHistory(
  options: HistoryOptions,
  verdicts: Verdicts,
  progress: Progress,
): Promise<void> {
  for (const touches of [false, true]) {
    progress.next();
    const faults = await HistoryFaults.start(new Random(options.seed + (touches ? 11 : 10)));
    const run = new HistoryTorture(options, verdicts, { faults, touches });
    try {
      await run.run();
    } finally {
      run.close();
    }
  }
}

class HistoryTorture {
  readonly #options: HistoryOptions;
  readonly #verdicts: Verdicts;
  readonly #faults: HistoryFaults;
  /** Whether faults of Redis are injected. */
  readonly #touches: boolean;
  readonly #nodes: NodeProcess[] = [];
  #publishers: NodesPublishers | undefined;
  #clients: RpcChild<HistoryClientProcedures> | undefined;
  #isOver = false;

  constructor(
    options: HistoryOptions,
    verdicts: Verdicts,
    { faults, touches }: { faults: HistoryFaults; touches: boolean },
  ) {
    this.#options = options;
    this.#verdicts = verdicts;
    this.#faults = faults;
    this.#touches = touches;
  }

  async run(): Promise<void> {
    const { quick, seed } = this.#options;
    await this.#startNodes();
    const publishers = new NodesPublishers(this.#nodes, seed + 20);
    this.#publishers = publishers;
    const clients = startRpcChild<HistoryClientProcedures>(
      new URL('./nodes-history-client-process.ts', import.meta.url),
    );
    this.#clients = clients;
    const ports = this.#nodes.map(({ port }) => port);
    await clients.call('connect', { ports, count: CLIENTS, seed });
    publishers.start();

    const disturbing = this.#faults.disturb(this.#nodes, () => this.#isOver);
    if (this.#touches) await this.#faults.touch(quick ? 1 : ROUNDS, quick);
    else await delay(quick ? QUICK_UNTOUCHED_MS : UNTOUCHED_MS);
    this.#isOver = true;
    await disturbing;
    await publishers.stop();

    await this.#until('all nodes are ready again', () => this.#areHealthy());
    await clients.call('settle', undefined);
    await this.#until('all clients have received the last broadcast', async () => {
      // Another one every time: a client that comes back after a gap does not receive the one before.
      await publishers.post(this.#nodes[0] as NodeProcess, EVERYONE);
      await delay(SETTLING_MS);
      return clients.call('haveReceived', publishers.lastSequence);
    });
    const { posted } = publishers;
    this.#judge(await clients.call('report', { posted, mayForget: this.#touches }));
  }

  /** Safe to call at any time, also when `run` has failed. */
  close(): void {
    this.#isOver = true;
    this.#clients?.child.disconnect();
    for (const node of this.#nodes) void node.kill('SIGKILL');
    this.#faults.close();
    this.#publishers?.close();
  }

  async #startNodes(): Promise<void> {
    const env = {
      HISTORY: 'redis',
      HISTORY_MESSAGES: this.#touches ? FEW_MESSAGES : ALL_MESSAGES,
      // Long enough to show what a connection receives after the loss that ends it.
      DRAIN_SECONDS: '2',
      ON_BROKER_LOSS: 'keep',
    };
    for (let index = 0; index < this.#options.nodes; index += 1) {
      const node = new NodeProcess(index, await freePort(), this.#faults.url, [], env);
      this.#nodes.push(node);
      node.start();
    }
    await this.#until('the nodes are ready', () => this.#areHealthy());
  }

  #judge(report: HistoryReport): void {
    const { verdict, replayed, doubledPlain, faults } = report;
    this.#printTable(report);
    const add = (isOk: boolean, what: string, why: readonly string[] = verdict.faults) =>
      this.#verdicts.add(isOk, `history: ${what}`, isOk ? [] : why);
    add(verdict.required > 500 && replayed > 100, 'messages were replayed', []);
    add(verdict.missed === 0, 'no message was lost in silence');
    add(verdict.doubled + verdict.ambiguous === 0, 'no message came twice');
    add(verdict.reordered === 0, 'every message came behind the one before it');
    if (this.#touches) {
      add(verdict.gaps > 0, 'gaps were announced', []);
    } else {
      add(verdict.gaps === 0, 'nobody was told of a gap', []);
      add(doubledPlain === 0, 'no message came twice to a plain client', []);
    }
    add(faults.length === 0, 'no client saw what it may not see', faults.slice(0, 10));
    const stderr = this.#nodes.map((node) => node.stderr).join('');
    add(stderr === '', 'no node wrote to stderr', [stderr]);
  }

  #printTable({ verdict, connections, replayed, received }: HistoryReport): void {
    const { posted = [] } = this.#publishers ?? {};
    const { injected, nodeCuts, nodeKills } = this.#faults;
    const rows: readonly (readonly [what: string, count: number])[] = [
      ['clients, half of them positioned', CLIENTS],
      ['connections of positioned clients', connections],
      ['kill -9 of a node', nodeKills],
      ['nodes cut off from Redis', nodeCuts],
      ['faults of Redis', injected.length],
      ['broadcasts', posted.length],
      ['of them answered 200', posted.filter(({ answer }) => answer === 'success').length],
      ['messages received', received],
      ['of them replayed', replayed],
      ['messages that had to come', verdict.required],
      ['missed in silence', verdict.missed],
      ['doubled', verdict.doubled],
      ['out of order', verdict.reordered],
      ['gaps announced', verdict.gaps],
    ];
    const lines = rows.map(([what, count]) => `| ${what} | ${formatCount(count)} |`);
    const title = this.#touches ? `Redis: ${injected.join(', ')}` : 'Redis left alone';
    printLine(`\n| ${title} | |\n|---|--:|\n${lines.join('\n')}\n`);
  }

  async #areHealthy(): Promise<boolean> {
    return (await Promise.all(this.#nodes.map((node) => node.isHealthy()))).every(Boolean);
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + WAIT_TIMEOUT_MS;
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new Error(`Waited in vain until ${what}`);
      await delay(POLL_INTERVAL_MS);
    }
  }
}
