import { describe, expect, it } from 'vitest';
import { settingLines } from '../../../../src/commands/check/setting-lines.ts';
import { loadConfig } from '../../../../src/config/config.ts';
import { settingRows, variableNames } from '../../../../src/config/settings.ts';

const KEY = {
  TLS_CERT_FILE: 'test/fixtures/localhost.cert.pem',
  TLS_KEY_FILE: 'test/fixtures/localhost.key.pem',
};

/** What is said of each variable: [source, value]. */
function described(variables: Record<string, string>, fromDotenv: readonly string[] = []) {
  const lines = settingLines({ variables, fromDotenv, problems: [] });
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, source, value] = /^(\w+) +(\S+) +(.*)$/.exec(line) ?? [];
      return [name, [source, value]];
    }),
  );
}

describe('settingLines', () => {
  it('names every variable once, as one sets it, in the order of the table', () => {
    expect(Object.keys(described({}))).toEqual(variableNames);
  });

  it('aligns its columns', () => {
    const starts = settingLines({
      variables: { PORT: '1' },
      fromDotenv: ['PORT'],
      problems: [],
    }).map((line) => /^\w+ +\S+ +/.exec(line)?.[0].length);
    expect(new Set(starts).size).toBe(1);
  });

  it('says where each value comes from', () => {
    const env = { PORT: '4000', HOST: '::1', LOG_LEVEL: '' };
    expect(described(env, ['PORT', 'LOG_LEVEL'])).toMatchObject({
      PORT: ['.env', '4000'],
      HOST: ['environment', '::1'],
      LOG_LEVEL: ['default', 'info'],
      ALLOWED_ORIGINS: ['default', '(not set)'],
    });
  });

  it('shows the default that follows from other variables', () => {
    expect(described({ REDIS_URL: 'redis://redis/2' })).toMatchObject({
      BROKER_PREFIX: ['default', 'bifrost:2:'],
      HISTORY: ['default', 'off'],
    });
    expect(described({})).toMatchObject({ HISTORY: ['default', 'memory'] });
  });

  it('shows on one line what would steer a terminal or cannot be seen', () => {
    const env = { HISTORY_FILE: 'a\n\u001b[31mb\u009b', BROKER_PREFIX: 'mine: ' };
    const { HISTORY_FILE, BROKER_PREFIX } = described(env);
    expect(BROKER_PREFIX).toEqual(['environment', '"mine: "']);
    expect(HISTORY_FILE?.[1]).toMatch(/^"a\\n\\u001b\[31mb ?"$/);
  });

  it('shows of secrets no more than that they are there', () => {
    const secret = 'not-to-be-shown';
    const env = {
      JWT_SECRET: secret,
      JWT_SECRET_PREVIOUS: `${secret}, ${secret}2`,
      METRICS_TOKEN: secret,
      REDIS_URL: `rediss://${secret}:${secret}@redis.example.com:6380/1?password=${secret}`,
      ...KEY,
    };
    // It is for what can be used only.
    loadConfig(env);
    const shown = described(env);
    expect(JSON.stringify(shown)).not.toContain(secret);
    expect(shown).toMatchObject({
      JWT_SECRET: ['environment', 'hidden, 15 bytes'],
      JWT_SECRET_PREVIOUS: ['environment', 'hidden, 2 of them'],
      METRICS_TOKEN: ['environment', 'hidden'],
      REDIS_URL: ['environment', 'rediss://…@redis.example.com:6380/1?…'],
      TLS_CERT_FILE: ['environment', KEY.TLS_CERT_FILE],
      TLS_KEY_FILE: ['environment', 'hidden'],
    });
    const masked = settingRows.filter(([, row]) => row.mask).map(([, row]) => row.variable);
    expect(Object.keys(env)).toEqual(expect.arrayContaining(masked));
  });

  it('shows a REDIS_URL that has no password as it is', () => {
    expect(described({ REDIS_URL: 'redis://redis:6380' })['REDIS_URL']).toEqual([
      'environment',
      'redis://redis:6380',
    ]);
  });
});
