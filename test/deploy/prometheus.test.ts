import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../support/free-port.ts';
import { run, type Tool } from '../support/process.ts';
import { temporaryFolder } from '../support/program.ts';
import { readAlerts, readDashboard } from '../support/promql.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { snippet } from '../support/snippets.ts';
import { readWith, startDaemon } from './proxies.ts';

const PROMTOOL: Tool = { command: 'promtool', needs: 'apt-get install prometheus' };
const ALERTS = 'deploy/prometheus-alerts.yml';

/** Debian's Prometheus with the configuration of the docs, for a server with this token; resolves to its address. */
async function startPrometheus(server: TestServer, token: string): Promise<string> {
  const folder = await temporaryFolder();
  const file = join(folder, 'prometheus.yml');
  const replacements = [
    ['localhost:3000', `127.0.0.1:${server.port}`],
    ['15s', '500ms'],
    ['/etc/prometheus/prometheus-alerts.yml', resolve(ALERTS)],
    ['<METRICS_TOKEN>', token],
  ];
  let config = snippet('Prometheus and Grafana', 'yaml');
  for (const [from = '', to = ''] of replacements) {
    expect(config).toContain(from);
    config = config.replaceAll(from, to);
  }
  // Rules are evaluated once a minute unless it is said here.
  await writeFile(file, `global:\n  evaluation_interval: 500ms\n${config}`);
  await run(PROMTOOL, ['check', 'config', file]);
  const port = await freePort();
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`];
  args.push(`--web.listen-address=127.0.0.1:${port}`);
  await startDaemon('prometheus', args, folder, /Server is ready to receive web requests/);
  return `http://127.0.0.1:${port}`;
}

async function ask<T>(url: string): Promise<T> {
  const response = await fetch(url);
  const { data, error } = (await response.json()) as { data: T; error?: string };
  if (error !== undefined) throw new Error(`${decodeURIComponent(url)}: ${error}`);
  return data;
}

/** A little of what happens to a server. */
async function useServer({ connect, broadcast, post }: TestServer): Promise<void> {
  const client = await (await connect()).subscribe('a');
  await broadcast('a', { event: 'greeting' });
  await post('garbage');
  await (await connect()).authenticate('garbage').closed;
  client.socket.close();
  await client.closed;
}

describe('deploy/prometheus-alerts.yml', () => {
  it('is valid for promtool', async () => {
    expect(await run(PROMTOOL, ['check', 'rules', '--lint-fatal', ALERTS])).toMatch(
      new RegExp(`SUCCESS: ${readAlerts().length} rules found`),
    );
  });

  it('fires on what an operator should look at, and not before', async () => {
    const file = 'test/deploy/alerts.test.yml';
    const tested = (await readFile(file, 'utf8')).matchAll(/labels: '\{alertname="(\w+)"/g);
    expect([...tested].map(([, name]) => name)).toEqual(readAlerts().map(({ alert }) => alert));
    await run(PROMTOOL, ['test', 'rules', file]);
  });

  it.each([
    ['> 0.1\n', '> 0.11\n'],
    ['> 0.8\n', '> 0.79\n'],
    ['for: 2m', 'for: 10m'],
  ])('is tested to the threshold: %j is not %j', async (from, to) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'rules.yml'), await readWith(ALERTS, [[from, to]]));
    const file = join(folder, 'test.yml');
    const tests = await readFile('test/deploy/alerts.test.yml', 'utf8');
    await writeFile(file, tests.replace('../../deploy/prometheus-alerts.yml', 'rules.yml'));
    await expect(run(PROMTOOL, ['test', 'rules', file])).rejects.toThrow();
  });
});

describe('deploy/grafana-dashboard.json', () => {
  it('has queries that promtool can parse', async () => {
    const { panels, annotations } = readDashboard();
    const rules = [...panels, ...annotations].map((expr, n) => ({ record: `query:${n}`, expr }));
    const file = join(await temporaryFolder(), 'queries.yml');
    await writeFile(file, stringify({ groups: [{ name: 'queries', rules }] }));
    await run(PROMTOOL, ['check', 'rules', file]);
    await writeFile(
      file,
      stringify({ groups: [{ name: 'x', rules: [{ ...rules[0], expr: '(' }] }] }),
    );
    await expect(run(PROMTOOL, ['check', 'rules', file])).rejects.toThrow();
  });

  it('has queries that a Prometheus which scrapes a server can answer, and so can the alerts', async () => {
    const token = 'sesame';
    const server = await startServer({ METRICS: 'true', METRICS_TOKEN: token });
    const url = await startPrometheus(server, token);
    const isEmpty = async (query: string) => {
      const path = `/api/v1/query?query=${encodeURIComponent(query)}`;
      return (await ask<{ result: unknown[] }>(url + path)).result.length === 0;
    };
    while (await isEmpty('up == 1'));
    let waiting = readDashboard().panels;
    while (waiting.length > 0) {
      await useServer(server);
      const areEmpty = await Promise.all(waiting.map(isEmpty));
      waiting = waiting.filter((_, index) => areEmpty[index]);
    }

    type Rule = { name: string; health: string; lastError?: string };
    const healths = async () => {
      const { groups } = await ask<{ groups: { rules: Rule[] }[] }>(`${url}/api/v1/rules`);
      return groups.flatMap(({ rules }) => rules.map((rule) => [rule.name, rule.health]));
    };
    while ((await healths()).some(([, health]) => health === 'unknown'));
    expect(await healths()).toEqual(readAlerts().map(({ alert }) => [alert, 'ok']));
  });
});
