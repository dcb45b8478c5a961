// `npm run bench`: measures this server beside others that do the same job, and prints one report.
import { appendFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import build from '../test/support/build.ts';
import { exitOnSignals } from '../test/support/child-cleanup.ts';
import { Progress, type Step } from '../test/support/progress.ts';
import { buildLoadGenerators } from './build-load-generators.ts';
import { updateFigures } from './charts/update-figures.ts';
import { type CommandLineOptions, HELP, readCommandLine } from './command-line.ts';
import { bifrost } from './competitors.ts';
import { describeEnvironment } from './environment.ts';
import type { Figures } from './figures.ts';
import { installCompetitors } from './install-competitors.ts';
import { measureScenario } from './measure-scenario.ts';
import { createPairedReport, createPairedTrialReport } from './report/paired-report.ts';
import { createScenarioReport, type ScenarioRun } from './report/scenario-report.ts';
import { createTrialReport, type TrialRun } from './report/trial-report.ts';
import { runnableCompetitors, runnableScenarios } from './requirements.ts';
import { type Counts, countsOf, type Scenario } from './scenarios.ts';
import type { Trial } from './trials/trial.ts';

/** What is measured once a round. */
interface Task {
  readonly scenario: Scenario | Trial;
  /** The competitor, or the variant of a trial. */
  readonly subject: { readonly name: string; readonly title: string };
  /** Keeps the figures for the report, and resolves to them. */
  run(counts: Counts): Promise<Figures>;
}

/** The figures of all runs so far. */
interface CollectedRuns {
  readonly scenarios: ScenarioRun[];
  readonly trials: TrialRun[];
}

/** The tasks of a round. The subjects of a scenario follow each other, so that a slow minute of the machine hits all. */
function createTasks(options: CommandLineOptions, collected: CollectedRuns): readonly Task[] {
  const runnable = runnableCompetitors(options.competitors);
  return runnableScenarios(options.scenarios, options.quick).flatMap(
    (scenario): readonly Task[] => {
      if (scenario.kind !== 'trial') {
        return runnable.map(({ competitor, command }) => ({
          scenario,
          subject: competitor,
          async run(counts) {
            const figures = await measureScenario(competitor, command, scenario, counts);
            collected.scenarios.push({ competitor, scenario, figures });
            return figures;
          },
        }));
      }
      if (!options.competitors.includes(bifrost)) return [];
      return scenario.variants.map((variant) => ({
        scenario,
        subject: variant,
        async run(counts) {
          const figures = await variant.measure(counts);
          collected.trials.push({ trial: scenario, variant, figures });
          return figures;
        },
      }));
    },
  );
}

function isMeasuredOnce({ scenario }: Task): boolean {
  return scenario.kind === 'trial' && scenario.isMeasuredOnce === true;
}

function mostlyWaits({ scenario }: Task): boolean {
  return scenario.kind === 'trial' && scenario.mostlyWaits === true;
}

/** The tasks of a round, one after another. Those of a group are run at the same time. */
function scheduleRound(
  tasks: readonly Task[],
  round: number,
  quick: boolean,
): readonly (readonly Task[])[] {
  const timed = tasks.filter((task) => !isMeasuredOnce(task));
  const once = round === 1 ? tasks.filter(isMeasuredOnce) : [];
  // What is measured later in a round may find the machine in another state, so the order alternates.
  const inOrder = round % 2 === 1 ? timed : timed.toReversed();
  const ordered = [...inOrder, ...once];
  // A check that they run must not take minutes.
  const waiting = quick ? ordered.filter(mostlyWaits) : [];
  const groups = ordered.filter((task) => !waiting.includes(task)).map((task) => [task]);
  return waiting.length === 0 ? groups : [...groups, waiting];
}

/** A run takes about so long where a scenario does not say how long. */
const FULL_SECONDS = 8;
const QUICK_SECONDS = 1;
/** The tasks that are run at the same time with `--quick`. */
const QUICK_GROUP_SECONDS = 20;

/** Tasks that are run at the same time, and the round. */
interface TaskGroup {
  readonly round: number;
  readonly tasks: readonly Task[];
}

function describeGroup(
  { round, tasks }: TaskGroup,
  { rounds, quick }: { readonly rounds: number; readonly quick: boolean },
): Step {
  const names = tasks.map(({ scenario, subject }) => `${scenario.title}: ${subject.title}`);
  const title = `round ${round} of ${rounds}: ${names.join('; ')}`;
  const fullSeconds = Math.max(
    ...tasks.map(({ scenario }) => scenario.fullSeconds ?? FULL_SECONDS),
  );
  const quickSeconds = tasks.length > 1 ? QUICK_GROUP_SECONDS : QUICK_SECONDS;
  return { title, kind: names.join(), seconds: quick ? quickSeconds : fullSeconds };
}

/** Runs every task once a round, and writes the figures of each run to `resultsFile` as a line of JSON. */
async function runRounds(
  tasks: readonly Task[],
  options: { readonly rounds: number; readonly quick: boolean },
  resultsFile: URL,
  common: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { rounds, quick } = options;
  const groups = Array.from({ length: rounds }, (_, index) => index + 1).flatMap((round) =>
    scheduleRound(tasks, round, quick).map((group) => ({ round, tasks: group })),
  );
  const progress = new Progress(groups.map((group) => describeGroup(group, options)));
  try {
    for (const { round, tasks: group } of groups) {
      progress.next();
      await Promise.all(
        group.map(async ({ scenario, subject, run }) => {
          const counts = countsOf(scenario, quick);
          const figures = await run(counts);
          const line = { ...common, round, scenario: scenario.name, peer: subject.name };
          appendFileSync(resultsFile, `${JSON.stringify({ ...line, ...counts, ...figures })}\n`);
        }),
      );
    }
  } finally {
    progress.end();
  }
}

async function main(): Promise<void> {
  const options = readCommandLine();
  if (options.help) {
    console.log(HELP);
    return;
  }
  if (options.chartFiles !== undefined) {
    updateFigures(options.chartFiles);
    return;
  }
  if (process.platform !== 'linux') {
    throw new Error('The benchmark reads CPU time and memory from /proc: it needs Linux.');
  }
  exitOnSignals();
  installCompetitors();
  build();
  await buildLoadGenerators();

  const { quick, rounds } = options;
  const setup = describeEnvironment(quick, rounds);
  const collected: CollectedRuns = { scenarios: [], trials: [] };
  const tasks = createTasks(options, collected);
  if (tasks.length === 0) throw new Error('Nothing left to measure');

  const startedAt = new Date().toISOString();
  const resultsFile = new URL(`results/${startedAt.replaceAll(':', '-')}.jsonl`, import.meta.url);
  mkdirSync(new URL('.', resultsFile), { recursive: true });
  await runRounds(tasks, { rounds, quick }, resultsFile, { startedAt, setup });

  const reports = [
    ...(collected.scenarios.length === 0 ? [] : [createScenarioReport(collected.scenarios)]),
    ...createPairedReport(collected.scenarios),
    ...(collected.trials.length === 0 ? [] : [createTrialReport(collected.trials)]),
    ...createPairedTrialReport(collected.trials),
    setup,
  ];
  console.log(reports.join('\n\n'));
  console.error(`Every run: ${fileURLToPath(resultsFile)}`);
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  // A failed run may leave handles open, which would keep this process alive.
  process.exit(1);
}
