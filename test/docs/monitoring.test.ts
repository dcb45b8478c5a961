import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readAlerts, readDashboard } from '../support/promql.ts';
import { startServer } from '../support/server.ts';
import { readPage, table } from '../support/snippets.ts';

const METRIC = /\b(?:bifrost|nodejs|process)_[a-z0-9_]+\b/g;

/** Every series that a server shows at its start: its name, and its labels as `name="value"`. */
async function exposed(): Promise<ReadonlyMap<string, readonly string[]>> {
  const { url } = await startServer({ METRICS: 'true' });
  const text = await (await fetch(`${url}/metrics`)).text();
  const series = new Map<string, string[]>();
  // A histogram without labels has its series from the start; of one with labels only the type is shown.
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) series.set(name + suffix, []);
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-z]\w*)\{(.*)\} /gm)) {
    series.set(name, [...(series.get(name) ?? []), ...labels.split(',')]);
  }
  return series;
}

/** The values that a matcher such as `reason=~"a|b"` asks for, each as `reason="a"`. */
function labelsOf(matchers: string): string[] {
  return [...matchers.matchAll(/(\w+)=~?"([^"]*)"/g)]
    .filter(([, name = '']) => !['job', 'instance'].includes(name))
    .flatMap(([, name, values = '']) => values.split('|').map((value) => `${name}="${value}"`));
}

const { panels, annotations } = readDashboard();
const QUERIES = [
  ...[...panels, ...annotations].map((query) => ['the dashboard', query] as const),
  ...readAlerts().map(({ alert, expr }) => [alert, expr] as const),
];

describe('the dashboard and the alert rules', () => {
  it('ask for metrics and labels that the server has', async () => {
    const series = await exposed();
    for (const [place, query] of QUERIES) {
      for (const [, name = '', matchers = ''] of query.matchAll(/\b(\w+)\{([^}]*)\}/g)) {
        if (name === 'up') continue;
        expect.soft([...series.keys()], `${place}: ${query}`).toContain(name);
        for (const label of labelsOf(matchers)) {
          expect.soft(series.get(name), `${place}: ${query}`).toContain(label);
        }
      }
      // No name stands without the job: other programs have metrics of Node and of processes too.
      const named = [...query.matchAll(METRIC)].length;
      expect.soft(named, query).toBe([...query.matchAll(/\b(?!up\b)\w+\{job="bifrost"/g)].length);
    }
  });

  it('show every metric of ours', async () => {
    const ours = [...(await exposed()).keys()].filter((name) => name.startsWith('bifrost_'));
    const shown = new Set(QUERIES.flatMap(([, query]) => query.match(METRIC) ?? []));
    const histories = ['bifrost_history_messages', 'bifrost_history_channels'];
    const others = [
      'bifrost_broadcast_duration_seconds_sum',
      'bifrost_broadcast_duration_seconds_count',
    ];
    expect(ours.filter((name) => !shown.has(name)).toSorted()).toEqual(
      [...histories, ...others].toSorted(),
    );
  });

  it('name no address', () => {
    for (const file of ['deploy/grafana-dashboard.json', 'deploy/prometheus-alerts.yml']) {
      expect(readFileSync(file, 'utf8')).not.toMatch(/https?:\/\//);
    }
  });
});

interface Drawn {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly datasource: { readonly uid: string } }[];
}

describe('deploy/grafana-dashboard.json', () => {
  const { panels: drawn } = JSON.parse(readPage('deploy/grafana-dashboard.json').text) as {
    panels: Drawn[];
  };

  it('takes the data source that is chosen, and says what each panel shows', () => {
    for (const { type, title, description, datasource, targets = [] } of drawn) {
      if (type === 'row') continue;
      expect.soft(description, title).toMatch(/\w \S+\.$/);
      for (const each of [{ datasource }, ...targets]) {
        expect.soft(each.datasource?.uid, title).toMatch(/^\$\{datasource\}$/);
      }
    }
    expect(new Set(drawn.map(({ id }) => id)).size).toBe(drawn.length);
  });

  it('has no panel on top of another', () => {
    const cells = drawn.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...drawn.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  });
});

describe('docs/operating.md', () => {
  it('names metrics that the server has, and all of ours', async () => {
    const names = new Set((await exposed()).keys());
    const page = readPage('docs/operating.md').text;
    const named = new Set(page.match(METRIC));
    // The histogram is named without the suffixes of its series.
    const families = [...names].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    expect([...names, ...families]).toEqual(expect.arrayContaining([...named]));
    const ours = new Set(families.filter((name) => name.startsWith('bifrost_')));
    expect([...named]).toEqual(expect.arrayContaining([...ours]));
  });

  it('explains each alert, in the order of the file', () => {
    const rows = table('alert | fires when | so that');
    expect(rows.map(([name]) => name)).toEqual(readAlerts().map(({ alert }) => `\`${alert}\``));
    for (const [name, when, reason] of rows) expect(`${when}${reason}`, name).toMatch(/\w/);
  });
});
