// `npm run torture`: attacks a real server from another process while a control group checks what it receives.
import { parseArgs } from 'node:util';
import build from '../support/build.ts';
import { exitOnSignals } from '../support/child-cleanup.ts';
import { FULL_DEVICE_LAUNCHER, FullDisk } from '../support/full-disk.ts';
import { Progress, type Step } from '../support/progress.ts';
import { attacks, SLOW_HTTP } from './attacks.ts';
import { tortureNodes } from './nodes.ts';
import { descriptorShortage, hungWorker } from './process-faults.ts';
import { formatCount, markdown } from './report.ts';
import type { RunResults } from './run-results.ts';
import { ServerUnderTest } from './server-under-test.ts';
import { drain, restart } from './shutdown.ts';
import { Testbed } from './testbed.ts';

/** Each with servers of its own, apart from `restart`, which kills the server of the attacks. */
const SCENARIOS = {
  restart,
  drain,
  'descriptor shortage': descriptorShortage,
  'hung worker': hungWorker,
};

const HELP = `npm run torture -- [options]   (Linux)

  --quick          a twentieth of everything, in less than a minute
  --attack NAME    only this attack, repeatable; without the minimum totals, and without the last four unless named
  --seed N         the same random numbers again
  --full-disk      the servers write their logs to a file system that is full, or where none can be mounted, to /dev/full
  --nodes N        instead: N servers on one Redis, which are all killed again and again while 3,000 subscribers check
                   what they receive, half of it posted in batches and batches posted again, and another program
                   publishes garbage on the topics of the nodes; then the same with HISTORY=redis and clients that are
                   cut off at random and come back with their position, to any node
  --help

Attacks: ${[...Object.keys(attacks), ...Object.keys(SCENARIOS)].join(', ')}

Memory: heap and RSS after a forced collection at the end of round two are at most 10 % above those at the end of
round one. With --quick, up to 16 MiB more heap and 32 MiB more RSS pass as noise.`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    attack: { type: 'string', multiple: true, default: [] },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    'full-disk': { type: 'boolean', default: false },
    nodes: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** What a full run must reach. */
const MIN_TOTALS = { inputs: 1_000_000, distinctMessages: 100_000, handshakes: 50_000 };

/** About how long an attack, the end of a round and a scenario take, in seconds: most of them. */
const SECONDS = {
  full: { attack: 5, rest: 3, scenario: 10 },
  quick: { attack: 0.7, rest: 6, scenario: 3 },
} as const;

function isChosen(name: string): boolean {
  return values.attack.length === 0 || values.attack.includes(name);
}

/** Resolves to whether the server passed. */
async function torture(): Promise<boolean> {
  const seed = Number(values.seed);
  console.log(`seed ${seed}`);
  if (values['full-disk']) writeLogsToFullDisk();
  const testbed = await Testbed.open({ quick: values.quick, seed });
  const { verdicts } = testbed.results;
  // Each step ends with the line of its verdict: where there is no terminal, that is enough.
  const progress = new Progress(planSteps(), { plainLines: false });
  try {
    await runAttacks(testbed, progress);
    for (const [name, scenario] of Object.entries(SCENARIOS)) {
      if (!isChosen(name)) continue;
      progress.next();
      await scenario(testbed);
    }
  } catch (error) {
    // Most likely the server has ended. The message tells what it wrote to stderr.
    verdicts.add(false, String(error));
  } finally {
    progress.end();
  }
  printResults(testbed.results);
  if (!values.quick && values.attack.length === 0) checkTotals(testbed.results);
  return verdicts.summarize();
}

/** The chosen attacks in two rounds, with the end of each round, and the chosen scenarios. */
function planSteps(): readonly Step[] {
  const { attack, rest, scenario } = SECONDS[values.quick ? 'quick' : 'full'];
  const rounds = [1, 2].flatMap((round) => [
    ...Object.keys(attacks)
      .filter((name) => isChosen(name) && name !== SLOW_HTTP)
      .map((name) => ({ title: `round ${round}: ${name}`, kind: name, seconds: attack })),
    { title: `round ${round}: memory at rest`, seconds: rest },
  ]);
  const scenarios = Object.keys(SCENARIOS).filter(isChosen);
  return [...rounds, ...scenarios.map((title) => ({ title, seconds: scenario }))];
}

async function runAttacks(testbed: Testbed, progress: Progress): Promise<void> {
  const names = Object.keys(attacks).filter(isChosen);
  for (const round of [1, 2]) {
    await testbed.runRound(round, names, { background: SLOW_HTTP, progress });
  }
  testbed.compareRounds();
  await testbed.close();
  // Without churn, all lines may fit into what the server keeps for a disk that comes back.
  if (values['full-disk'] && isChosen('churn')) {
    const dropped = await testbed.server.droppedLines();
    const what = `${formatCount(dropped)} lines of the log could not be written`;
    testbed.results.verdicts.add(dropped > 0, what);
  }
}

function printResults({ attacks: results, totals }: RunResults): void {
  console.log(`\n${markdown(results)}\n`);
  console.log(`hostile inputs ${formatCount(totals.inputs)}`);
  console.log(`distinct messages ${formatCount(totals.distinctMessages)}`);
  console.log(`handshakes ${formatCount(totals.handshakes)}`);
  console.log(
    `control group: ${formatCount(totals.published)} broadcasts, ${formatCount(totals.deliveries)} deliveries, ` +
      `${totals.lost} lost, ${totals.doubled} doubled, ${totals.reordered} reordered`,
  );
}

function checkTotals({ totals, verdicts }: RunResults): void {
  for (const name of ['inputs', 'distinctMessages', 'handshakes'] as const) {
    const isEnough = totals[name] >= MIN_TOTALS[name];
    verdicts.add(isEnough, `at least ${formatCount(MIN_TOTALS[name])} ${name}`);
  }
}

function writeLogsToFullDisk(): void {
  const manyLines = ['env', 'LOG_LEVEL=debug'];
  if (!FullDisk.isPossible) {
    console.log('logs on /dev/full');
    ServerUnderTest.launcher = [...manyLines, ...FULL_DEVICE_LAUNCHER];
    return;
  }
  console.log('logs on a full file system');
  const disk = new FullDisk();
  process.once('exit', () => disk.close());
  ServerUnderTest.launcher = [...manyLines, ...disk.launcher];
}

const unknown = values.attack.filter((name) => !(name in attacks || name in SCENARIOS));

if (values.help) {
  console.log(HELP);
} else if (unknown.length > 0 || !/^\d+$/.test(values.seed + (values.nodes ?? ''))) {
  console.error(`Unknown attack or seed that is no number: ${unknown.join(', ')} ${values.seed}`);
  process.exitCode = 1;
} else {
  exitOnSignals();
  build();
  const { quick, seed, nodes } = values;
  const isPassed =
    nodes === undefined
      ? await torture()
      : (await tortureNodes({ nodes: Number(nodes), quick, seed: Number(seed) })).summarize();
  // The child processes would wait for calls for ever.
  process.exit(isPassed ? 0 : 1);
}
