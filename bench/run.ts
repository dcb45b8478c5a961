// `npm run bench`: measures this server beside what else one would use, and prints one report.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import build from '../test/support/build.ts';
import { exitOnSignals } from '../test/support/child-cleanup.ts';
import type { Figures } from './figures.ts';
import { measure } from './measure.ts';
import { MESSAGE_BYTES } from './message.ts';
import { type Command, type Peer, peers, versionOf } from './peers.ts';
import { describeCommit, installPeers } from './prepare.ts';
import { isPinned } from './processes.ts';
import { redisVersion } from './redis.ts';
import { createReport, type Run } from './report.ts';
import { createTrialReport, type TrialRun } from './report-trials.ts';
import { type Counts, type Scenario, scenarios } from './scenarios.ts';
import type { Trial } from './trial.ts';
import { trials } from './trials.ts';

/** An odd number, so that there is a median; many short runs, since any of them may meet a slow moment of the machine. */
const FULL_ROUNDS = 7;
const everything = [...scenarios, ...trials];
/** What a process needs beside its connections. */
const SPARE_FILES = 100;

const HELP = `Measures this server beside others that do the same job, each alone and one after another.

  npm run bench                        everything; takes about twenty minutes
  npm run bench -- --quick             one round of small counts; in less than 90 seconds
  npm run bench -- --peer NAME         only this server (repeatable): ${names(peers)}
  npm run bench -- --scenario NAME     only this scenario (repeatable): ${names(everything)}

The scenarios ${names(trials)} are about ${peers[0].name}; they run when it does, and bring what they compare it with.
The report goes to stdout, every single run to bench/results/ as a line of JSON.`;

function names(list: readonly { readonly name: string }[]): string {
  return list.map(({ name }) => name).join(' ');
}

/** Those of `list` that are named, all when none is. Throws on a name that nobody has. */
function select<T extends { readonly name: string }>(
  list: readonly T[],
  wanted: readonly string[] | undefined,
): readonly T[] {
  if (wanted === undefined) return list;
  const unknown = wanted.find((name) => !list.some((item) => item.name === name));
  if (unknown !== undefined) throw new Error(`No "${unknown}" here, only: ${names(list)}`);
  return list.filter(({ name }) => wanted.includes(name));
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      peer: { type: 'string', multiple: true },
      scenario: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    quick: values.quick,
    help: values.help,
    peers: select(peers, values.peer),
    scenarios: select(everything, values.scenario),
  };
}

interface Contestant {
  readonly peer: Peer;
  readonly command: Command;
}

/** Leaves out, aloud, the peers that cannot run here. */
function findContestants(wanted: readonly Peer[]): readonly Contestant[] {
  return wanted.flatMap((peer) => {
    const command = peer.command();
    if (command !== undefined) return [{ peer, command }];
    console.log(`Skipped: ${peer.title}, which needs ${peer.needs}.\n`);
    return [];
  });
}

function countsOf(scenario: Scenario | Trial, quick: boolean): Counts {
  return quick ? scenario.quick : scenario.full;
}

/** How many connections are open at a time. */
function connectionsOf(scenario: Scenario | Trial, counts: Counts): number {
  if (scenario.kind === 'trial') return scenario.connections(counts);
  return scenario.kind === 'broadcast' ? scenario.subscribers : counts.warmUp + counts.measured;
}

/** Leaves out, aloud, the scenarios that something is missing for, or for which a process may not open enough files. */
function findPossible(
  wanted: readonly (Scenario | Trial)[],
  quick: boolean,
): readonly (Scenario | Trial)[] {
  const limit = Number(spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout);
  return wanted.filter((scenario) => {
    const lacking = scenario.kind === 'trial' ? scenario.lacks?.() : undefined;
    const files = connectionsOf(scenario, countsOf(scenario, quick)) + SPARE_FILES;
    // Where there is no limit it is not a number.
    if (lacking === undefined && !(limit < files)) return true;
    const needs = lacking ?? `${files} open files; raise ulimit -Hn, now ${limit}`;
    console.log(`Skipped: ${scenario.title}, which needs ${needs}.\n`);
    return false;
  });
}

/** The circumstances, without which no figure means anything. */
function describeSetup(quick: boolean, rounds: number): string {
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'})`;
  const pinning = isPinned
    ? 'server pinned to core 0, load generators to core 1'
    : 'nothing pinned (that takes two cores and taskset)';
  const versions = ['ws', 'socket.io', 'bun']
    .map((name) => `${name} ${versionOf(name)}`)
    .concat(redisVersion === undefined ? [] : [`Redis ${redisVersion}`])
    .join(', ');
  const runs = quick ? 'quick: one short run of each' : `medians of ${rounds} runs`;
  return `${describeCommit()}, Node ${process.version}, ${cores}, ${pinning}; ${versions}; messages of ${MESSAGE_BYTES} bytes; METRICS=true and LOG_LEVEL=info; ${runs}.`;
}

/** What is measured once a round. */
interface Task {
  readonly scenario: Scenario | Trial;
  readonly entrant: { readonly name: string; readonly title: string };
  measure(counts: Counts): Promise<Figures>;
  keep(figures: Figures): void;
}

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags.help) {
    console.log(HELP);
    return;
  }
  // The kernel's own account of each process.
  if (process.platform !== 'linux') throw new Error('The benchmark reads /proc: it needs Linux.');
  exitOnSignals();
  installPeers();
  build();

  const rounds = flags.quick ? 1 : FULL_ROUNDS;
  const setup = describeSetup(flags.quick, rounds);
  const runs: Run[] = [];
  const trialRuns: TrialRun[] = [];
  const contestants = findContestants(flags.peers);
  const tasks = findPossible(flags.scenarios, flags.quick).flatMap((scenario): readonly Task[] => {
    if (scenario.kind !== 'trial') {
      return contestants.map(({ peer, command }) => ({
        scenario,
        entrant: peer,
        measure: (counts) => measure(peer, command, scenario, counts),
        keep: (figures) => runs.push({ peer, scenario, figures }),
      }));
    }
    if (!flags.peers.includes(peers[0])) return [];
    return scenario.entrants.map((entrant) => ({
      scenario,
      entrant,
      measure: (counts) => entrant.measure(counts),
      keep: (figures) => trialRuns.push({ trial: scenario, entrant, figures }),
    }));
  });
  if (tasks.length === 0) throw new Error('Nothing left to measure');

  const startedAt = new Date().toISOString();
  const results = new URL(`results/${startedAt.replaceAll(':', '-')}.jsonl`, import.meta.url);
  mkdirSync(new URL('.', results), { recursive: true });

  for (let round = 1; round <= rounds; round++) {
    // The entrants of a scenario take turns, so that a slow minute of the machine is shared by all.
    for (const { scenario, entrant, measure, keep } of tasks) {
      const counts = countsOf(scenario, flags.quick);
      console.error(`round ${round} of ${rounds}: ${scenario.title}: ${entrant.title}`);
      const figures = await measure(counts);
      keep(figures);
      const line = { startedAt, setup, round, scenario: scenario.name, peer: entrant.name };
      appendFileSync(results, `${JSON.stringify({ ...line, ...counts, ...figures })}\n`);
    }
  }

  const reports = [
    ...(runs.length === 0 ? [] : [createReport(runs)]),
    ...(trialRuns.length === 0 ? [] : [createTrialReport(trialRuns)]),
    setup,
  ];
  console.log(reports.join('\n\n'));
  console.error(`Every run: ${fileURLToPath(results)}`);
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  // Whatever is still open belongs to a run that failed.
  process.exit(1);
}
