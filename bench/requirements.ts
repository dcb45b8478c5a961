// Leaves out what cannot run on this machine, and says so on stdout: the report would otherwise look complete.
import type { Command, Competitor } from './competitors.ts';
import { readOpenFilesLimit } from './machine-limits.ts';
import { countsOf, maxConnectionsOf, type Scenario } from './scenarios.ts';
import type { Trial } from './trials/trial.ts';

/** Files that a process opens besides its connections. */
const SPARE_FILES = 100;

export interface RunnableCompetitor {
  readonly competitor: Competitor;
  readonly command: Command;
}

function printSkipped(title: string, requirement: string): void {
  console.log(`Skipped: ${title}, which needs ${requirement}.\n`);
}

/** Those of `competitors` that can run here. */
export function runnableCompetitors(
  competitors: readonly Competitor[],
): readonly RunnableCompetitor[] {
  return competitors.flatMap((competitor) => {
    const command = competitor.command();
    if (command !== undefined) return [{ competitor, command }];
    printSkipped(competitor.title, `${competitor.requirement}`);
    return [];
  });
}

/** Those of `scenarios` that have what they need here, open files included. */
export function runnableScenarios(
  scenarios: readonly (Scenario | Trial)[],
  quick: boolean,
): readonly (Scenario | Trial)[] {
  const limit = readOpenFilesLimit();
  return scenarios.filter((scenario) => {
    const counts = countsOf(scenario, quick);
    const isTrial = scenario.kind === 'trial';
    const connections = isTrial
      ? scenario.maxConnections(counts)
      : maxConnectionsOf(scenario, counts);
    const missing = isTrial ? scenario.missingRequirement?.(counts) : undefined;
    const files = connections + SPARE_FILES;
    const hasFiles = Number.isNaN(limit) || limit >= files;
    if (missing === undefined && hasFiles) return true;
    printSkipped(scenario.title, missing ?? `${files} open files; raise ulimit -Hn, now ${limit}`);
    return false;
  });
}
