import { describe, expect, it } from 'vitest';
import {
  encodeFigures,
  parseFigures,
  replaceScenarios,
} from '../../../bench/charts/figures-file.ts';
import { Measured } from '../../../bench/charts/measured.ts';
import { replaceRegions } from '../../../bench/charts/regions.ts';
import { markdownTable } from '../../../bench/report/markdown.ts';

const setup = (commit: string) => `commit ${commit}, Node v20; medians of 3 runs.`;

function line(startedAt: string, round: number, cpuUsPerDelivery: number): string {
  const run = { startedAt, setup: setup(startedAt), round, scenario: '1x1', peer: 'bifrost' };
  return `${JSON.stringify({ ...run, warmUp: 1, measured: 2, cpuUsPerDelivery, rssBytes: 3 })}\n`;
}

describe('the file of figures', () => {
  it('keeps of each run what is shown, and each sentence on the machine once', () => {
    const lines = parseFigures(line('a', 1, 10 / 3) + line('a', 2, 4));
    const text = encodeFigures(lines);
    expect(text.split('\n').map((each) => each && JSON.parse(each))).toEqual([
      { startedAt: 'a', setup: setup('a') },
      {
        startedAt: 'a',
        round: 1,
        scenario: '1x1',
        peer: 'bifrost',
        measured: 2,
        cpuUsPerDelivery: 3.33333,
      },
      {
        startedAt: 'a',
        round: 2,
        scenario: '1x1',
        peer: 'bifrost',
        measured: 2,
        cpuUsPerDelivery: 4,
      },
      '',
    ]);
    expect(encodeFigures(parseFigures(text))).toBe(text);
  });

  it('never mixes the runs of a scenario from two starts', () => {
    const kept = parseFigures(line('a', 1, 1) + line('a', 2, 2));
    const merged = replaceScenarios(kept, parseFigures(line('b', 1, 3)));
    expect(merged.runs.map(({ figures }) => figures['cpuUsPerDelivery'])).toEqual([3]);
    expect(encodeFigures(merged)).not.toContain('commit a');
  });

  it('refuses a scenario that there is not', () => {
    expect(() => parseFigures(line('a', 1, 1).replace('1x1', '2x2'))).toThrow('2x2');
  });
});

describe('what was measured', () => {
  it('tells where and how often', () => {
    const measured = new Measured(parseFigures(line('a', 1, 1) + line('a', 2, 2)));
    expect(measured.describeSource('1x1')).toBe(
      'Measured on commit a, Node v20; medians of 2 runs.',
    );
    const quick = line('a', 1, 1).replace(
      'medians of 3 runs',
      'quick: short runs, one run of each',
    );
    expect(new Measured(parseFigures(quick)).describeSource('1x1')).toBe(
      'Measured on commit a, Node v20; one run, short ones.',
    );
  });

  it('is not shown in part: a competitor that is missing is named', () => {
    const measured = new Measured(parseFigures(line('a', 1, 1)));
    expect(() => measured.scenarioRuns()).toThrow('no figures of bifrost in 1000x1');
  });
});

describe('the regions of a page', () => {
  const page = (content: string) =>
    `text\n\n<!-- figures: cpu -->\n\n${content}\n\n<!-- end of figures -->\n\nmore\n`;

  it('are replaced, and nothing else is', () => {
    expect(replaceRegions(page('old\n\nold'), new Map([['cpu', 'new $1']]))).toBe(page('new $1'));
  });

  it('must be there, each once', () => {
    expect(() => replaceRegions('', new Map([['cpu', '']]))).toThrow('no place for cpu');
    expect(() => replaceRegions(page(''), new Map())).toThrow('cpu');
    expect(() => replaceRegions(page('') + page(''), new Map([['cpu', '']]))).toThrow('cpu');
  });
});

it('a table has aligned columns', () => {
  expect(
    markdownTable(
      ['scenario', 'ms'],
      [
        ['1 → 1', '1,000'],
        ['to all', '1'],
      ],
    ),
  ).toBe(`| scenario |    ms |
| -------- | ----: |
| 1 → 1    | 1,000 |
| to all   |     1 |`);
});
