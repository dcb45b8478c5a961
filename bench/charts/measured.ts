import { type Competitor, competitors } from '../competitors.ts';
import { type Figures, medians } from '../figures.ts';
import type { ScenarioRun } from '../report/scenario-report.ts';
import type { TrialRun } from '../report/trial-report.ts';
import { scenarios } from '../scenarios.ts';
import { trials } from '../trials/all-trials.ts';
import type { Trial, TrialVariant } from '../trials/trial.ts';
import { CLIENT_SIZE, type FigureLines, type Run } from './figures-file.ts';

/** What is behind the last semicolon of the sentence on commit and machine: how often it was measured in all. */
const RUNS = /; (quick: short runs, )?(?:one run of each|medians of \d+ runs)\.$/;

/** The figures of docs/, as what the benchmark measured. */
export class Measured {
  readonly #lines: FigureLines;

  constructor(lines: FigureLines) {
    this.#lines = lines;
  }

  /** Throws when a competitor is missing. */
  scenarioRuns(): readonly ScenarioRun[] {
    return scenarios.flatMap((scenario) =>
      competitors.flatMap((competitor) =>
        this.#runsOf(scenario.name, competitor.name).map(({ figures }) => ({
          competitor,
          scenario,
          figures,
        })),
      ),
    );
  }

  /** The runs of these trials. Throws when a variant is missing. */
  trialRuns(...names: readonly string[]): readonly TrialRun[] {
    return names.map(findTrial).flatMap((trial) =>
      trial.variants.flatMap((variant) =>
        this.#runsOf(trial.name, variant.name).map(({ figures }) => ({
          trial,
          variant,
          figures,
        })),
      ),
    );
  }

  /** The medians of a competitor in a scenario. */
  competitorFigures(scenario: string, { name }: Competitor): Figures {
    return mediansOf(this.#runsOf(scenario, name));
  }

  /** The medians of a variant of a trial. */
  variantFigures(trial: Trial, { name }: TrialVariant): Figures {
    return mediansOf(this.#runsOf(trial.name, name));
  }

  /** The bytes of clients by their names, ours first. */
  clientSizes(): ReadonlyMap<string, number> {
    const sizes = this.#lines.runs.filter(({ scenario }) => scenario === CLIENT_SIZE);
    if (sizes.length === 0) throw new Error(`There are no figures of ${CLIENT_SIZE}`);
    return new Map(sizes.map(({ peer, figures }) => [peer, Number(figures['bytes'])]));
  }

  /** On which commit and machine, and how often, these scenarios were measured: a sentence for each start. */
  describeSource(...names: readonly string[]): string {
    const sources = new Map<string, string[]>();
    for (const name of names) {
      const source = this.#sourceOf(name);
      sources.set(source, [...(sources.get(source) ?? []), `\`${name}\``]);
    }
    const sentences = [...sources].map(([source, of]) =>
      sources.size === 1 ? `Measured on ${source}.` : `${of.join(', ')}: measured on ${source}.`,
    );
    return sentences.join('\n');
  }

  #sourceOf(name: string): string {
    const runs = this.#lines.runs.filter(({ scenario }) => scenario === name);
    const setup = this.#lines.setups.get(runs[0]?.startedAt ?? '');
    if (setup === undefined) throw new Error(`There are no figures of ${name}`);
    const isQuick = RUNS.exec(setup)?.[1] !== undefined;
    const rounds = new Set(runs.map(({ round }) => round)).size;
    const count = rounds === 1 ? 'one run' : `medians of ${rounds} runs`;
    return `${setup.replace(RUNS, '')}; ${count}${isQuick ? ', short ones' : ''}`;
  }

  #runsOf(scenario: string, peer: string): readonly Run[] {
    const runs = this.#lines.runs.filter((run) => run.scenario === scenario && run.peer === peer);
    if (runs.length === 0) throw new Error(`There are no figures of ${peer} in ${scenario}`);
    return runs;
  }
}

function mediansOf(runs: readonly Run[]): Figures {
  return medians(runs.map(({ figures }) => figures));
}

/** Throws when there is none of that name. */
export function findTrial(name: string): Trial {
  const trial = trials.find((each) => each.name === name);
  if (trial === undefined) throw new Error(`There is no trial "${name}"`);
  return trial;
}
