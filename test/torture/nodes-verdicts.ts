import { printLine } from '../support/progress.ts';
import { CLIENTS } from './nodes-channels.ts';
import {
  type Answer,
  compareDeliveries,
  type History,
  type Posted,
  type Verdict,
} from './nodes-oracle.ts';
import { haveOneOrder } from './nodes-order.ts';
import { formatCount } from './report.ts';
import type { Verdicts } from './verdicts.ts';

interface BatchCounts {
  readonly batches: number;
  readonly retries: number;
  readonly duplicates: number;
}

export interface NodesRun {
  readonly nodeCount: number;
  readonly history: History;
  readonly redisKills: number;
  readonly batches: BatchCounts;
  /** Texts of another program that Redis handed to nodes. */
  readonly garbageTexts: number;
  /** Of each process of subscribers. */
  readonly verdicts: readonly Verdict[];
}

type Counter = {
  [K in keyof Verdict]: Verdict[K] extends number ? K : never;
}[keyof Verdict];

/** A quick run has about five times as many. */
const MIN_RETRIES = 3;

/** Prints what happened in the run and adds its verdicts. */
export function judgeRun(run: NodesRun, verdicts: Verdicts): void {
  const { history, redisKills, batches } = run;
  const received = sumReceived(run);
  const total = (key: Counter) => run.verdicts.reduce((sum, verdict) => sum + verdict[key], 0);
  const deliveries = compareDeliveries(history, received);
  printTable(run, received, total, deliveries);

  const faults = run.verdicts.flatMap((verdict) => verdict.faults);
  const add = (isOk: boolean, what: string, why: readonly string[] = faults) =>
    verdicts.add(isOk, what, isOk ? [] : why);
  const isKilled = history.kills.length > 0 && redisKills > 0;
  const isEnough = total('required') > 10 * CLIENTS && deliveries.compared > 100;
  add(isKilled && isEnough, 'nodes and Redis were killed, and broadcasts got through', []);
  const isRetried = batches.retries > MIN_RETRIES && batches.duplicates > MIN_RETRIES;
  add(isRetried, 'batches were posted again, before and after they had been delivered', []);
  add(total('missed') === 0, 'every broadcast answered 200 reached all subscribers');
  add(total('doubled') === 0, 'no message came twice');
  add(total('reordered') === 0, 'no message came before one that was answered before its post');
  add(total('interrupted') === 0, 'every batch came in order and in one piece');
  const successions = run.verdicts.flatMap((verdict) => verdict.successions);
  add(haveOneOrder(successions), 'all websockets have messages in the same order', []);
  add(deliveries.wrong === 0, '`deliveries` is what arrived', deliveries.faults);
  add(total('unexplained') === 0, 'every closed websocket has a reason');
}

/** How many websockets received each broadcast, by sequence. */
function sumReceived({ history, verdicts }: NodesRun): Uint32Array {
  const sums = new Uint32Array((history.posted.at(-1)?.sequence ?? 0) + 1);
  for (const { received } of verdicts) {
    received.forEach((count, sequence) => {
      sums[sequence] = (sums[sequence] ?? 0) + count;
    });
  }
  return sums;
}

function isInBatch(
  { sequence, request }: Posted,
  index: number,
  posted: readonly Posted[],
): boolean {
  return sequence !== request || posted[index + 1]?.request === request;
}

function printTable(
  { nodeCount, history, redisKills, batches, garbageTexts }: NodesRun,
  received: Uint32Array,
  total: (key: Counter) => number,
  deliveries: ReturnType<typeof compareDeliveries>,
): void {
  const answered = (answer: Answer) => history.posted.filter((posted) => posted.answer === answer);
  const arrived = (answer: Answer) =>
    answered(answer).filter(({ sequence }) => (received[sequence] ?? 0) > 0).length;
  const rows: readonly (readonly [what: string, count: number])[] = [
    ['websockets at a time', CLIENTS],
    ['websockets in all', total('sessions')],
    ['kill -9 of a node', history.kills.length],
    ['kill -9 of Redis', redisKills],
    ['losses of Redis logged by nodes', history.losses.length],
    ['broadcasts', history.posted.length],
    ['of them in batches', history.posted.filter(isInBatch).length],
    ['batches', batches.batches],
    ['batches posted again', batches.retries],
    ['batches answered as duplicates', batches.duplicates],
    ['answered 200', answered('success').length],
    ['answered 200 with `partial`', answered('partial').length],
    ['answered 503', answered('unavailable').length],
    ['answered 503 that arrived all the same', arrived('unavailable')],
    ['not answered (the node was starting or killed)', answered('none').length],
    ['not answered that arrived all the same', arrived('none')],
    ['texts of another program handed to nodes', garbageTexts],
    ['messages received', received.reduce((sum, count) => sum + count, 0)],
    ['messages that had to be received', total('required')],
    ['missed', total('missed')],
    ['doubled', total('doubled')],
    ['reordered', total('reordered')],
    ['of a batch, but out of its place', total('interrupted')],
    ['`deliveries` compared with what arrived', deliveries.compared],
    ['`deliveries` that differ', deliveries.wrong],
  ];
  const lines = rows.map(([what, count]) => `| ${what} | ${formatCount(count)} |`);
  printLine(`\n| ${nodeCount} nodes and Redis | |\n|---|--:|\n${lines.join('\n')}\n`);
}
