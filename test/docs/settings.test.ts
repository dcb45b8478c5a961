import { readFileSync } from 'node:fs';
import { parse as parseDotenv } from 'dotenv';
import { describe, expect, it } from 'vitest';
import { defaultText, loadConfig } from '../../src/config/config.ts';
import { settingRows, variableNames } from '../../src/config/settings.ts';
import { table } from '../support/snippets.ts';
import { SECRET } from '../support/tokens.ts';

describe("the README's table of settings", () => {
  it('list every variable in the order of the configuration', () => {
    const documented = table('variable | default | meaning').map(([name]) => name);
    expect(documented).toEqual(variableNames.map((name) => `\`${name}\``));
  });

  it('give every variable its default', () => {
    const rows = table('variable | default | meaning');
    const values = rows.filter(([, fallback]) => fallback?.startsWith('`'));
    const env = Object.fromEntries(
      values.map(([name, fallback]) => [unquote(name), unquote(fallback)]),
    );
    // Spelling a default out must change nothing …
    expect(loadConfig({ JWT_SECRET: SECRET, ...env })).toEqual(loadConfig({ JWT_SECRET: SECRET }));
    // … and what has no default says so in a word.
    const others = rows.filter((row) => !values.includes(row));
    expect(others.map(([name, fallback]) => `${unquote(name)}: ${fallback}`)).toEqual([
      'JWT_SECRET: required',
      'JWT_SECRET_PREVIOUS: none',
      'HOST: all interfaces',
      'NODE_ENV: none',
      'ALLOWED_ORIGINS: any',
      'METRICS_TOKEN: none',
      'TLS_CERT_FILE: none',
      'TLS_KEY_FILE: none',
      'REDIS_URL: none',
      'HISTORY_FILE: none',
    ]);
  });
});

/** What `.env.example` says, made from the table of settings. */
function envExample(): string {
  const rows = settingRows.flatMap(([, row]) => {
    if (row.help === undefined) return [];
    return `# ${row.help}\n# ${row.variable}=${defaultText(row, {}) ?? ''}\n`;
  });
  const head = [
    '# Copy this file to .env and remove the "#" in front of what you want to set.',
    '# What is set in the real environment wins. docs/configuration.md says more about each variable.\n',
  ].join('\n');
  return [head, ...rows].join('\n');
}

describe('the table of settings', () => {
  it('explains every variable once, in a sentence', () => {
    const explained = settingRows.filter(([, { help }]) => help !== undefined);
    expect(explained.map(([, { variable }]) => variable)).toEqual(variableNames);
    for (const [key, { help }] of explained) expect.soft(help, key).toMatch(/^[A-Z].*\.$/);
  });
});

describe('.env.example', () => {
  const example = readFileSync('.env.example', 'utf8');

  it('says what the table of settings says; "npm test -- settings -u" writes it', async () => {
    await expect(envExample()).toMatchFileSnapshot('../../.env.example');
  });

  it('sets nothing as it is', () => {
    expect(parseDotenv(example)).toEqual({});
  });

  it('shows the defaults', () => {
    const shown = parseDotenv(example.replaceAll(/^# (?=[A-Z_]+=)/gm, ''));
    expect(Object.keys(shown)).toEqual(variableNames);
    expect(loadConfig({ ...shown, JWT_SECRET: SECRET })).toEqual(
      loadConfig({ JWT_SECRET: SECRET }),
    );
    const documented = table('variable | default | meaning').map(([name, fallback]) => [
      unquote(name),
      fallback?.startsWith('`') ? unquote(fallback) : '',
    ]);
    expect(Object.entries(shown)).toEqual(documented);
  });
});

function unquote(cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '');
}
