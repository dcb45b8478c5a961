import { describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../../src/config/config.ts';
import { describeConfig } from '../../../src/config/describe-config.ts';
import { settingRows } from '../../../src/config/settings.ts';

const JWT_SECRET = 'x'.repeat(64);

/** As text, because operators read the keys in their order. */
function described(config: Config): string {
  return JSON.stringify(describeConfig(config), null, 1);
}

describe('describeConfig', () => {
  it('shows every setting under its key, in the order of the table', () => {
    expect(described(loadConfig({ JWT_SECRET }))).toBe(
      JSON.stringify(
        {
          secretBytes: 64,
          previousSecrets: 0,
          port: 3000,
          host: 'all interfaces',
          production: false,
          development: false,
          logLevel: 'info',
          pingIntervalMs: 15_000,
          authTimeoutMs: 30_000,
          drainMs: 10_000,
          maxConnections: 0,
          maxChannelsPerConnection: 1_000,
          maxChannelLength: 255,
          maxMessageBytes: 65_536,
          maxBodyBytes: 1_048_576,
          maxBufferedBytes: 4_194_304,
          allowedOrigins: 'any',
          metrics: false,
          metricsToken: false,
          trustedProxies: 0,
          enforceTokenExpiry: false,
          tls: false,
          compression: false,
          processes: 1,
          redis: false,
          brokerPrefix: 'bifrost:',
          reconnectOnBrokerLoss: false,
          history: 'memory',
          historyMessages: 100,
          historyMs: 300_000,
          historyBytes: 67_108_864,
          historyFile: false,
          tokenAtConnect: false,
        },
        null,
        1,
      ),
    );
  });

  it('says something of every setting that is not set', () => {
    // JSON leaves out what is undefined.
    const unset = describeConfig(loadConfig({ JWT_SECRET }));
    for (const [key, value] of Object.entries(unset)) expect.soft(value, key).not.toBe(undefined);
  });

  it('shows what is set', () => {
    const tls = { certFile: 'test/fixtures/localhost.cert.pem', keyFile: 'key.pem' };
    const config = loadConfig({
      JWT_SECRET,
      HOST: '::1',
      ALLOWED_ORIGINS: 'https://example.com',
      REDIS_URL: 'redis://redis:6380/2',
    });
    expect(describeConfig({ ...config, tls })).toMatchObject({
      host: '::1',
      allowedOrigins: ['https://example.com'],
      tls: tls.certFile,
      redis: 'redis:6380',
      brokerPrefix: 'bifrost:2:',
    });
    expect(described({ ...config, tls })).not.toContain('key.pem');
  });

  it('shows where the history is kept', () => {
    const config = loadConfig({ JWT_SECRET, HISTORY_FILE: '/var/lib/bifrost/history' });
    expect(describeConfig(config)).toMatchObject({ historyFile: '/var/lib/bifrost/history' });
  });

  it('shows nothing of a secret but that it is there', () => {
    const secret = 'not-to-be-shown';
    const secrets = settingRows.filter(([, row]) => row.mask).map(([, row]) => row.variable);
    expect(secrets).toEqual([
      'JWT_SECRET',
      'JWT_SECRET_PREVIOUS',
      'METRICS_TOKEN',
      'TLS_KEY_FILE',
      'REDIS_URL',
    ]);
    const config = loadConfig({
      JWT_SECRET: secret,
      JWT_SECRET_PREVIOUS: secret,
      METRICS_TOKEN: secret,
      REDIS_URL: `redis://${secret}:${secret}@redis`,
    });
    const tls = { certFile: 'cert.pem', keyFile: secret };
    expect(described({ ...config, tls })).not.toContain(secret);
    expect(describeConfig(config)).toMatchObject({
      secretBytes: secret.length,
      previousSecrets: 1,
      metricsToken: true,
      redis: 'redis',
    });
  });
});
