// Bar charts as SVG, for pages that show them as images: legible in both colour schemes, on a phone, and to those who
// hear them.

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The value as it is shown. */
  readonly text: string;
  /** Ours stands out. */
  readonly isOurs: boolean;
}

/** Bars of one scale. */
export interface BarGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface BarChart {
  readonly title: string;
  readonly groups: readonly BarGroup[];
}

/** In pixels. A phone shows it as wide as this, or a little smaller. */
const WIDTH = 400;
const PADDING = 16;
const TITLE_HEIGHT = 30;
const GROUP_TITLE_HEIGHT = 30;
const LABEL_HEIGHT = 17;
const BAR_HEIGHT = 14;
const ROW_HEIGHT = LABEL_HEIGHT + BAR_HEIGHT + 7;
/** For the value behind the longest bar. */
const VALUE_WIDTH = 70;
const MAX_BAR_WIDTH = WIDTH - 2 * PADDING - VALUE_WIDTH;

/** Texts have a contrast of at least 4.5 to the background, and bars of at least 3 (WCAG 2, AA). */
const STYLE = `
    rect.page { fill: #ffffff; }
    text { fill: #1f2328; font: 14px system-ui, sans-serif; }
    .title { font-size: 16px; font-weight: 600; }
    .group { font-weight: 600; }
    .other { fill: #818b98; }
    .ours { fill: #0969da; }
    @media (prefers-color-scheme: dark) {
      rect.page { fill: #0d1117; }
      text { fill: #f0f6fc; }
      .other { fill: #7d8590; }
      .ours { fill: #4493f8; }
    }
  `;

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** All that the chart shows, as a sentence a group. */
export function describeChart({ groups }: BarChart): string {
  return groups
    .map(
      ({ title, bars }) =>
        `${title}: ${bars.map(({ label, text }) => `${label} ${text}`).join(', ')}.`,
    )
    .join(' ');
}

function renderBar({ label, value, text, isOurs }: Bar, max: number, y: number): readonly string[] {
  const width = max === 0 ? 0 : Math.round((value / max) * MAX_BAR_WIDTH * 10) / 10;
  const barY = y + LABEL_HEIGHT;
  return [
    `<text x="${PADDING}" y="${y + 13}">${escapeXml(label)}</text>`,
    `<rect class="${isOurs ? 'ours' : 'other'}" x="${PADDING}" y="${barY}" width="${width}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<text x="${PADDING + width + 6}" y="${barY + 12}">${escapeXml(text)}</text>`,
  ];
}

/** The elements of all groups, and where the last one ends. */
function renderGroups(groups: readonly BarGroup[]) {
  const elements: string[] = [];
  let y = PADDING + TITLE_HEIGHT;
  for (const { title, bars } of groups) {
    elements.push(`<text class="group" x="${PADDING}" y="${y + 15}">${escapeXml(title)}</text>`);
    y += GROUP_TITLE_HEIGHT;
    const max = Math.max(...bars.map(({ value }) => value));
    for (const bar of bars) {
      elements.push(...renderBar(bar, max, y));
      y += ROW_HEIGHT;
    }
    y += PADDING / 2;
  }
  return { elements, height: y + PADDING / 2 };
}

export function renderBarChart(chart: BarChart): string {
  const { elements, height } = renderGroups(chart.groups);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escapeXml(chart.title)}</title>`,
    `<desc id="description">${escapeXml(describeChart(chart))}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>`,
    `<text class="title" x="${PADDING}" y="${PADDING + 16}">${escapeXml(chart.title)}</text>`,
    ...elements,
    '</svg>',
    '',
  ].join('\n');
}
