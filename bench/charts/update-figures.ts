// `npm run bench -- --charts`: makes the charts and tables of docs/ from one file of figures, so that they cannot differ.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BarChart, describeChart, renderBarChart } from './bar-chart.ts';
import { createCharts } from './charts.ts';
import {
  encodeFigures,
  FIGURES_FILE,
  type FigureLines,
  parseFigures,
  replaceScenarios,
} from './figures-file.ts';
import { Measured } from './measured.ts';
import { replaceRegions } from './regions.ts';
import { createClientSizesTable, createTables } from './tables.ts';

/** The one chart that the README shows too. */
const README_CHART = 'jitter';

/** Where a file of the repository is. */
function pathOf(file: string): string {
  return fileURLToPath(new URL(`../../${file}`, import.meta.url));
}

function read(file: string): string {
  return readFileSync(pathOf(file), 'utf8');
}

/** The files that are made from `lines`, by their paths from the root of the repository. Throws when a figure is missing. */
export function renderFigures(lines: FigureLines): ReadonlyMap<string, string> {
  const measured = new Measured(lines);
  const charts = createCharts(measured);
  const imageOf = (name: string, chart: BarChart, folder: string) =>
    `![${chart.title}. ${describeChart(chart)}](${folder}/${name}.svg)`;
  const images = [...charts].map(([name, chart]): [string, string] => [
    name,
    imageOf(name, chart, 'images'),
  ]);
  const performance = new Map([...createTables(measured), ...images]);
  const browser = new Map([['client-sizes', createClientSizesTable(measured)]]);
  const readme = new Map(
    [...charts]
      .filter(([name]) => name === README_CHART)
      .map(([name, chart]) => [name, imageOf(name, chart, 'docs/images')]),
  );
  return new Map([
    [FIGURES_FILE, encodeFigures(lines)],
    ['README.md', replaceRegions(read('README.md'), readme)],
    ['docs/performance.md', replaceRegions(read('docs/performance.md'), performance)],
    ['docs/browser.md', replaceRegions(read('docs/browser.md'), browser)],
    ...[...charts].map(([name, chart]): [string, string] => [
      `docs/images/${name}.svg`,
      renderBarChart(chart),
    ]),
  ]);
}

/** Takes over what was measured in `files`, and makes all charts and tables anew. Throws when a figure is missing. */
export function updateFigures(files: readonly string[]): void {
  const kept = existsSync(pathOf(FIGURES_FILE)) ? read(FIGURES_FILE) : '';
  const lines = files
    .map((file) => parseFigures(readFileSync(file, 'utf8')))
    .reduce(replaceScenarios, parseFigures(kept));
  for (const [file, text] of renderFigures(lines)) {
    mkdirSync(dirname(pathOf(file)), { recursive: true });
    writeFileSync(pathOf(file), text);
    console.error(`Written: ${file}`);
  }
}
