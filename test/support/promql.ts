import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** A rule of `deploy/prometheus-alerts.yml`. */
export interface Alert {
  readonly alert: string;
  readonly expr: string;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const ALERTS = 'deploy/prometheus-alerts.yml';
const DASHBOARD = 'deploy/grafana-dashboard.json';

export function readAlerts(): readonly Alert[] {
  const { groups } = parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** The queries of all panels as Grafana sends them for the job "bifrost", and those of its annotations. */
export function readDashboard(): { readonly panels: string[]; readonly annotations: string[] } {
  const { panels, annotations } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    panels: Panel[];
    annotations: { list: { expr: string }[] };
  };
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  return {
    panels: queries.map(withoutVariables),
    annotations: annotations.list.map(({ expr }) => withoutVariables(expr)),
  };
}

function withoutVariables(query: string): string {
  const text = query
    .replaceAll('$job', 'bifrost')
    .replaceAll('$instance', '.*')
    .replaceAll('$__rate_interval', '10s');
  if (text.includes('$')) throw new Error(`an unknown variable: ${text}`);
  return text;
}
