import { describe, expect, it } from 'vitest';
import { describeChart, renderBarChart } from '../../../bench/charts/bar-chart.ts';

const CHART = {
  title: 'CPU <less is better>',
  groups: [
    {
      title: 'one & all',
      bars: [
        { label: 'ours', value: 5, text: '5.00', isOurs: true },
        { label: '"theirs"', value: 10, text: '10.0', isOurs: false },
        { label: 'none', value: 0, text: '0', isOurs: false },
      ],
    },
  ],
};

describe('a bar chart', () => {
  const svg = renderBarChart(CHART);

  it('draws bars in proportion to their values', () => {
    const widths = [...svg.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)];
    const bars = widths.filter(([, name]) => name !== 'page');
    expect(bars.map(([, name]) => name)).toEqual(['ours', 'other', 'other']);
    const [ours = 0, theirs = 0, none] = bars.map(([, , width]) => Number(width));
    expect(theirs).toBeGreaterThan(200);
    expect(ours).toBe(theirs / 2);
    expect(none).toBe(0);
  });

  it('has a title, and all that it shows as text', () => {
    expect(describeChart(CHART)).toBe('one & all: ours 5.00, "theirs" 10.0, none 0.');
    expect(svg).toContain('<title id="title">CPU &lt;less is better&gt;</title>');
    expect(svg).toContain('>one &amp; all: ours 5.00, &quot;theirs&quot; 10.0, none 0.</desc>');
    expect(svg).toMatch(/<svg [^>]*role="img" aria-labelledby="title description"/);
  });

  it('is well-formed XML', () => {
    const open: string[] = [];
    const markup = svg.replaceAll(/<style>.*?<\/style>/gs, '');
    for (const [, close, name = '', empty] of markup.matchAll(/<(\/?)(\w+)[^<>]*?(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(name);
      else if (empty === '') open.push(name);
    }
    expect(open).toEqual([]);
    expect(markup.replaceAll(/<[^<>]*>/g, '')).not.toMatch(/[<>]|&(?!(amp|lt|gt|quot);)/);
  });

  it('draws as many bars as there are values when all of them are 0', () => {
    const [group] = CHART.groups;
    const bars = (group?.bars ?? []).map((bar) => ({ ...bar, value: 0 }));
    expect(renderBarChart({ title: '', groups: [{ title: '', bars }] })).not.toContain('NaN');
  });
});

describe('the colours of a bar chart', () => {
  const [light = '', dark = ''] = renderBarChart(CHART).split(
    '@media (prefers-color-scheme: dark)',
  );

  it.each([
    ['light', light],
    ['dark', dark],
  ])('have enough contrast in the %s scheme', (_, style) => {
    const color = (selector: string) =>
      luminance(style.slice(style.indexOf(`${selector} {`)).match(/#(\w{6})/)?.[1] ?? '');
    const contrast = (selector: string) => {
      const [low = 0, high = 0] = [color('rect.page'), color(selector)].toSorted((a, b) => a - b);
      return (high + 0.05) / (low + 0.05);
    };
    expect(contrast('text')).toBeGreaterThan(4.5);
    expect(contrast('.ours')).toBeGreaterThan(3);
    expect(contrast('.other')).toBeGreaterThan(3);
  });
});

/** WCAG 2, "relative luminance". */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((start) => {
    const share = Number.parseInt(hex.slice(start, start + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
