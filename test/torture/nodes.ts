// `npm run torture -- --nodes 3`: nodes and their Redis are killed and started at random, and no broadcast that was
// answered 200 may be missed, doubled or out of order anywhere, while another program publishes garbage on their topics.
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, RedisServer } from '../support/redis.ts';
import { sign } from '../support/tokens.ts';
import { EVERYONE, GROUPS, group } from './nodes-channels.ts';
import type { calls } from './nodes-clients.ts';
import { GarbagePublisher } from './nodes-garbage.ts';
import {
  type Answer,
  compareTotals,
  type Ending,
  type History,
  haveOneOrder,
  type Judgement,
  type Posted,
} from './nodes-oracle.ts';
import { NodeProcess } from './nodes-process.ts';
import { type Ask, startHelper } from './rpc.ts';

const CLIENTS = 3_000;
const CLIENT_PROCESSES = 2;
const PUBLISHERS = 6;
const PUBLISHER_PAUSE_MS = 100;
/** One broadcast of so many goes to everyone. */
const TO_EVERYONE = 8;
const CHAOS_MS = 120_000;
const QUICK_CHAOS_MS = 13_000;
/** A gap between two blows, and how long a victim stays away. */
const BLOW_MS = [1_000, 5_000] as const;
const AWAY_MS = [0, 2_000] as const;
const SETTLE_WITHIN_MS = 30_000;
const POLL_MS = 50;
/** The server answers within 2 s, whatever happens; a machine that is busy may take longer. */
const ANSWER_WITHIN_MS = 15_000;
/** Through each node, when all is calm again. */
const FINAL_BROADCASTS = 10;

export interface NodesOptions {
  readonly nodes: number;
  /** Less than half a minute instead of more than two. */
  readonly quick: boolean;
  readonly seed: number;
}

/** Runs everything, prints what came of it, and resolves to how many checks passed and failed. */
export async function tortureNodes(
  options: NodesOptions,
): Promise<{ readonly passed: number; readonly failed: number }> {
  console.log(`seed ${options.seed}`);
  const start = performance.now();
  const torture = new Torture(options);
  try {
    return await torture.run();
  } finally {
    torture.close();
    console.log(`${((performance.now() - start) / 1_000).toFixed(1)} s`);
  }
}

type Helper = ReturnType<typeof startHelper<typeof calls>>;

class Torture {
  readonly #options: NodesOptions;
  /** Of what is published, and of what is killed: the blows do not depend on how fast publishers are. */
  readonly #random: () => number;
  readonly #fate: () => number;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #posted: Posted[] = [];
  readonly #kills: Ending[] = [];
  readonly #losses: Ending[] = [];
  readonly #helpers: Helper[] = [];
  #nodes: readonly NodeProcess[] = [];
  #redis: RedisServer | undefined;
  #garbage: GarbagePublisher | undefined;
  #redisKills = 0;
  #lastSequence = 0;
  #isCalm = true;
  #passed = 0;
  #failed = 0;

  constructor(options: NodesOptions) {
    this.#options = options;
    this.#random = randomNumbers(options.seed + 1);
    this.#fate = randomNumbers(options.seed);
  }

  async run(): Promise<{ readonly passed: number; readonly failed: number }> {
    const redis = new RedisServer(await freePort());
    this.#redis = redis;
    await redis.start();
    const nodes: NodeProcess[] = [];
    for (let index = 0; index < this.#options.nodes; index += 1) {
      nodes.push(new NodeProcess(index, await freePort(), redis.url, this.#losses));
    }
    this.#nodes = nodes;
    for (const node of nodes) node.start();
    await this.#until('the nodes are ready', () => this.#areHealthy());
    await this.#connectClients();

    this.#isCalm = false;
    const garbage = new GarbagePublisher(redis, this.#options.seed + 2);
    this.#garbage = garbage;
    garbage.start();
    const publishers = Array.from({ length: PUBLISHERS }, () => this.#publish());
    await this.#wreak(this.#options.quick ? QUICK_CHAOS_MS : CHAOS_MS);
    this.#isCalm = true;
    await Promise.all(publishers);

    await this.#until('all nodes came back', () => this.#areHealthy());
    await this.#until('all clients came back', async () => (await this.#subscribed()) === CLIENTS);
    await this.#until('every node has dropped garbage', async () =>
      (await Promise.all(this.#nodes.map((node) => node.droppedTexts()))).every((n) => n > 0),
    );
    await this.#finish();
    await garbage.stop();
    await this.#judge();
    await this.#stop();
    return { passed: this.#passed, failed: this.#failed };
  }

  close(): void {
    for (const { child } of this.#helpers) child.disconnect();
    for (const node of this.#nodes) void node.kill('SIGKILL');
    this.#redis?.close();
    this.#agent.destroy();
  }

  async #connectClients(): Promise<void> {
    const ports = this.#nodes.map(({ port }) => port);
    const each = CLIENTS / CLIENT_PROCESSES;
    for (let from = 0; from < CLIENTS; from += each) {
      const helper: Helper = startHelper<typeof calls>('./nodes-clients.ts');
      this.#helpers.push(helper);
      await helper.ask('connect', { ports, from, to: from + each });
    }
    await this.#until(
      `${CLIENTS} clients are subscribed`,
      async () => (await this.#subscribed()) === CLIENTS,
    );
  }

  /** Posts sequence-numbered broadcasts through random nodes until it is calm. */
  async #publish(): Promise<void> {
    while (!this.#isCalm) {
      const channel =
        this.#random() < 1 / TO_EVERYONE ? EVERYONE : group(Math.floor(this.#random() * GROUPS));
      // Those that are just starting are asked too, and refuse.
      const living = this.#nodes.filter(({ isRunning }) => isRunning);
      const node = living[Math.floor(this.#random() * living.length)];
      if (node !== undefined) await this.#post(node, channel);
      await delay(PUBLISHER_PAUSE_MS * (0.5 + this.#random()));
    }
  }

  async #post({ port }: NodeProcess, channel: string): Promise<void> {
    this.#lastSequence += 1;
    const sequence = this.#lastSequence;
    const body = JSON.stringify({ token: sign({ channel, message: { sequence } }) });
    const postedAt = Date.now();
    const reply = await send(this.#agent, port, body);
    const posted = { sequence, channel, postedAt, answeredAt: Date.now(), ...understand(reply) };
    // In the order of their posts, whichever was answered first.
    const index = this.#posted.findLastIndex((other) => other.sequence < sequence) + 1;
    this.#posted.splice(index, 0, posted);
  }

  /** Kills and starts nodes and Redis, one blow after another; one node or more is always there. */
  async #wreak(durationMs: number): Promise<void> {
    const between = ([least, most]: readonly [number, number]) =>
      least + this.#fate() * (most - least);
    const end = performance.now() + durationMs;
    const mending: Promise<void>[] = [];
    let isRedisThere = true;
    let blows = 0;

    const killRedis = async () => {
      if (this.#redis === undefined || !isRedisThere) return;
      isRedisThere = false;
      const awayMs = between(AWAY_MS);
      this.#redisKills += 1;
      await this.#redis.kill('SIGKILL');
      await delay(awayMs);
      await this.#redis.start();
      isRedisThere = true;
    };
    const killNode = async () => {
      const living = this.#nodes.filter(({ isRunning }) => isRunning);
      const node = living[Math.floor(this.#fate() * living.length)];
      if (living.length < 2 || node === undefined) return;
      const awayMs = between(AWAY_MS);
      this.#kills.push({ node: this.#nodes.indexOf(node), at: Date.now() });
      await node.kill('SIGKILL');
      await delay(awayMs);
      node.start();
    };

    while (performance.now() < end) {
      await delay(Math.min(between(BLOW_MS), Math.max(0, end - performance.now())));
      // Whatever the seed, both are killed once.
      blows += 1;
      const choice = blows === 1 ? 0 : blows === 2 ? 1 : this.#fate();
      if (choice < 0.6) mending.push(killNode());
      if (choice > 0.5) mending.push(killRedis());
    }
    await Promise.all(mending);
  }

  /** All is calm: now every broadcast is answered with everyone. */
  async #finish(): Promise<void> {
    for (let n = 0; n < FINAL_BROADCASTS; n += 1) {
      for (const node of this.#nodes) await this.#post(node, group(n % GROUPS));
    }
    for (const node of this.#nodes) await this.#post(node, EVERYONE);
    const last = this.#posted.slice(-(FINAL_BROADCASTS + 1) * this.#nodes.length);
    const isExact = ({ answer, channel, deliveries }: Posted) =>
      answer === 'success' && deliveries === (channel === EVERYONE ? CLIENTS : CLIENTS / GROUPS);
    this.#check('in the end every broadcast reaches everyone', last.every(isExact), () =>
      JSON.stringify(last.find((posted) => !isExact(posted))),
    );
    const { sequence } = this.#posted.at(-1) as Posted;
    await this.#until('the last broadcast has come', async () =>
      (await this.#all((ask) => ask('have', sequence))).every(Boolean),
    );
  }

  async #judge(): Promise<void> {
    const history: History = {
      posted: this.#posted,
      kills: this.#kills,
      losses: this.#losses.toSorted((one, other) => one.at - other.at),
    };
    const judgements = await this.#all((ask) => ask('judge', history));
    const total = (key: NumberKey) => judgements.reduce((sum, each) => sum + each[key], 0);
    const received = new Uint32Array(this.#lastSequence + 1);
    for (const each of judgements) {
      each.received.forEach((count, sequence) => {
        received[sequence] = (received[sequence] ?? 0) + count;
      });
    }
    const answered = (answer: Answer) => this.#posted.filter((posted) => posted.answer === answer);
    const arrived = (answer: Answer) =>
      answered(answer).filter(({ sequence }) => (received[sequence] ?? 0) > 0).length;
    const totals = compareTotals(history, received);
    const why = () => judgements.flatMap(({ faults }) => faults).join('\n    ');

    const rows: [string, number][] = [
      ['sockets at a time', CLIENTS],
      ['websockets in all', total('sessions')],
      ['kill -9 of a node', this.#kills.length],
      ['kill -9 of Redis', this.#redisKills],
      ['losses of Redis noticed by nodes', this.#losses.length],
      ['broadcasts', this.#posted.length],
      ['answered 200', answered('success').length],
      ['answered 200 with `partial`', answered('partial').length],
      ['answered 503', answered('unavailable').length],
      ['answered 503 that arrived all the same', arrived('unavailable')],
      ['not answered (the node was starting or killed)', answered('none').length],
      ['not answered that arrived all the same', arrived('none')],
      ['texts of another program handed to nodes', this.#garbage?.received ?? 0],
      ['messages received', received.reduce((sum, count) => sum + count, 0)],
      ['messages that had to be received', total('required')],
      ['missed', total('missed')],
      ['doubled', total('doubled')],
      ['reordered', total('reordered')],
      ['`deliveries` compared with what arrived', totals.compared],
      ['`deliveries` that differ', totals.wrong],
    ];
    const lines = rows.map(([what, count]) => `| ${what} | ${count.toLocaleString('en-US')} |`);
    console.log(`\n| ${this.#options.nodes} nodes and Redis | |\n|---|--:|\n${lines.join('\n')}\n`);

    this.#check('nodes and Redis were killed, and broadcasts got through', () => {
      const isEnough = total('required') > 10 * CLIENTS && totals.compared > 100;
      return isEnough && this.#kills.length > 0 && this.#redisKills > 0;
    });
    this.#check('every broadcast answered 200 came to everyone', total('missed') === 0, why);
    this.#check('nothing came twice', total('doubled') === 0, why);
    this.#check('nothing came before what it was posted after', total('reordered') === 0, why);
    this.#check(
      'one order, the same for every socket',
      haveOneOrder(judgements.flatMap(({ successions }) => successions)),
    );
    this.#check('`deliveries` is what arrived', totals.wrong === 0, () =>
      totals.faults.join('\n    '),
    );
    this.#check('no websocket ended without a reason', total('unexplained') === 0, why);
  }

  async #stop(): Promise<void> {
    const codes = await Promise.all(this.#nodes.map((node) => node.kill('SIGTERM')));
    this.#check(
      'every node ends with 0 on SIGTERM',
      codes.every((code) => code === 0),
      () => codes.join(', '),
    );
    const complaints = this.#nodes.map(({ complaint }) => complaint).join('');
    this.#check('no node complained on stderr', complaints === '', () => complaints);
  }

  #check(what: string, passes: boolean | (() => boolean), why = () => ''): void {
    const isOk = typeof passes === 'function' ? passes() : passes;
    if (isOk) this.#passed += 1;
    else this.#failed += 1;
    console.log(isOk ? `ok      ${what}` : `FAILED  ${what}\n    ${why()}`);
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + SETTLE_WITHIN_MS;
    while (!(await isSo())) {
      if (performance.now() > deadline) {
        throw new Error(
          `Waited in vain until ${what}. ${this.#nodes.map((node) => node.complaint)}`,
        );
      }
      await delay(POLL_MS);
    }
  }

  async #areHealthy(): Promise<boolean> {
    return (await Promise.all(this.#nodes.map((node) => node.isHealthy()))).every(Boolean);
  }

  async #subscribed(): Promise<number> {
    return (await this.#all((ask) => ask('subscribed', undefined))).reduce((sum, n) => sum + n, 0);
  }

  #all<T>(question: (ask: Ask<typeof calls>) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#helpers.map(({ ask }) => question(ask)));
  }
}

type NumberKey = {
  [K in keyof Judgement]: Judgement[K] extends number ? K : never;
}[keyof Judgement];

/** Undefined when there was no answer. */
function send(
  agent: Agent,
  port: number,
  body: string,
): Promise<{ readonly status: number; readonly text: string } | undefined> {
  return new Promise((resolve) => {
    const sent = request(
      {
        agent,
        port,
        host: '127.0.0.1',
        path: '/broadcast',
        method: 'POST',
        timeout: ANSWER_WITHIN_MS,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', () => resolve(undefined));
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', () => resolve(undefined));
    sent.end(body);
  });
}

function understand(
  reply: { readonly status: number; readonly text: string } | undefined,
): Pick<Posted, 'answer' | 'deliveries'> {
  if (reply === undefined) return { answer: 'none', deliveries: 0 };
  const { status, text } = reply;
  const success = /^\{"message":"Success","deliveries":(\d+)(,"partial":true)?\}$/.exec(text);
  if (status === 200 && success !== null) {
    return { answer: success[2] ? 'partial' : 'success', deliveries: Number(success[1]) };
  }
  if (status === 503) return { answer: 'unavailable', deliveries: 0 };
  throw new Error(`A broadcast was answered with ${status} ${text}`);
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
