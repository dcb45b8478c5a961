import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missedPercent } from '../../bench/charts/charts.ts';
import { FIGURES_FILE, parseFigures } from '../../bench/charts/figures-file.ts';
import { findTrial, Measured } from '../../bench/charts/measured.ts';
import { renderFigures } from '../../bench/charts/update-figures.ts';
import { bifrost, competitors } from '../../bench/competitors.ts';
import { README, readPage } from '../support/snippets.ts';

const lines = parseFigures(readFileSync(FIGURES_FILE, 'utf8'));
const measured = new Measured(lines);

describe('the charts and tables of the docs', () => {
  it.each([...renderFigures(lines)])(
    '%s shows the figures of the benchmark: run npm run bench -- --charts',
    (file, text) => {
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );
});

it.each([...renderFigures(lines)].filter(([file]) => file.endsWith('.svg')))(
  'the texts of %s fit into it',
  (_, svg) => {
    const texts = [...svg.matchAll(/<text(?: class="(\w+)")? x="(\d+)[^>]*>([^<]*)</g)];
    expect(texts.length).toBeGreaterThan(5);
    for (const [, kind, x, text = ''] of texts) {
      // About as wide as the letters of the usual sans-serif fonts are.
      const letter = kind === 'title' ? 9 : 8;
      expect.soft(Number(x) + text.length * letter, text).toBeLessThan(400);
    }
  },
);

describe('the figures that the docs repeat', () => {
  const [, , socketIo = bifrost] = competitors;
  const figureOf = (scenario: string, name: string, competitor = bifrost) =>
    Number(measured.competitorFigures(scenario, competitor)[name]);
  const ratio = (scenario: string, name: string) =>
    figureOf(scenario, name) / figureOf(scenario, name, socketIo);

  it('are those of the README', () => {
    expect(socketIo.title).toBe('Socket.IO');
    expect(README).toContain('a quarter less CPU than Socket.IO for each delivery to a thousand');
    expect(ratio('1000x1', 'cpuUsPerDelivery')).toBeLessThan(0.77);
    expect(README).toContain('less than half of its memory for each connection');
    expect(ratio('connect', 'rssBytesPerConnection')).toBeLessThan(0.5);
  });

  it('are those of the jitter in the README', () => {
    const trial = findTrial('jitter');
    const [ours] = trial.variants;
    const { measured: clients, missing } = measured.variantFigures(trial, ours);
    expect([clients, missing]).toEqual([10_000, 0]);
    expect(README).toContain(
      '10,000 clients on bad connections\n  [missed none of 1.2 million messages](docs/performance.md)',
    );
    expect(README).toContain('those of a plain websocket server missed a quarter');
    const ws = trial.variants.find(({ name }) => name === 'ws') ?? ours;
    const others = measured.variantFigures(trial, ws);
    const missedShare = missedPercent(others) / 100;
    expect(Number(others['missing']) / missedShare / 1e6).toBeCloseTo(1.2, 2);
    expect(missedShare).toBeGreaterThan(0.22);
    expect(missedShare).toBeLessThan(0.28);
  });

  it('are those of docs/scaling.md', () => {
    const { text } = readPage('docs/scaling.md');
    expect(text).toContain('more than half a million deliveries a second on one core');
    expect(1e6 / figureOf('1000x16', 'cpuUsPerDelivery')).toBeGreaterThan(500_000);
  });
});
