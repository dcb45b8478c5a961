import { bifrost, competitors } from '../competitors.ts';
import type { Figures } from '../figures.ts';
import { formatFigure } from '../report/markdown.ts';
import { scenarios } from '../scenarios.ts';
import type { Bar, BarChart, BarGroup } from './bar-chart.ts';
import { findTrial, type Measured } from './measured.ts';

/** Our own client among those of others. */
const OUR_CLIENT = 'bifrost-client';

/** A bar for each server. */
function competitorBars(
  measured: Measured,
  scenario: string,
  value: (figures: Figures) => number,
): readonly Bar[] {
  return competitors.map((competitor) => {
    const figure = value(measured.competitorFigures(scenario, competitor));
    return {
      label: competitor.title,
      value: figure,
      text: formatFigure(figure),
      isOurs: competitor === bifrost,
    };
  });
}

function createFanOut(measured: Measured): BarChart {
  const groups = ['1000x1', '1000x16'].map((name): BarGroup => {
    const title = scenarios.find((scenario) => scenario.name === name)?.title ?? '';
    const bars = competitorBars(measured, name, (figures) => Number(figures['cpuUsPerDelivery']));
    return { title, bars };
  });
  return { title: 'µs of CPU for each delivery', groups };
}

/** The share of what was said that did not arrive, in percent. */
export function missedPercent(figures: Figures): number {
  // Without the noise of a difference of floating-point numbers.
  return Number((100 - Number(figures['receivedPercent'])).toFixed(4));
}

function createJitter(measured: Measured): BarChart {
  const trial = findTrial('jitter');
  const bars = trial.variants.map((variant, index): Bar => {
    const missed = missedPercent(measured.variantFigures(trial, variant));
    return {
      label: index === 0 ? `${bifrost.title}, with recovery` : variant.title,
      value: missed,
      text: missed === 0 ? 'none' : `${formatFigure(missed)} %`,
      isOurs: index === 0,
    };
  });
  const figures = measured.variantFigures(trial, trial.variants[0]);
  const clients = Number(figures['measured']).toLocaleString('en');
  const cuts = Math.round(Number(figures['cutsPerClient']));
  return {
    title: 'Messages missed on bad connections',
    groups: [{ title: `${clients} clients, each cut about ${cuts} times`, bars }],
  };
}

function createSize(measured: Measured): BarChart {
  const clients = [...measured.clientSizes()].map(([label, bytes]): Bar => {
    const kilobytes = bytes / 1_000;
    return {
      label,
      value: kilobytes,
      text: kilobytes.toFixed(1),
      isOurs: label === OUR_CLIENT,
    };
  });
  return {
    title: 'Size of server and client',
    groups: [
      {
        title: 'KB of memory of the server for a connection',
        bars: competitorBars(
          measured,
          'connect',
          (figures) => Number(figures['rssBytesPerConnection']) / 1_000,
        ),
      },
      { title: 'KB that the client adds to a page, gzipped', bars: clients },
    ],
  };
}

/** The charts of docs/images/ by their names. */
export function createCharts(measured: Measured): ReadonlyMap<string, BarChart> {
  return new Map([
    ['fan-out', createFanOut(measured)],
    ['jitter', createJitter(measured)],
    ['size', createSize(measured)],
  ]);
}
