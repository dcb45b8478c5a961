import { describe, expect, it } from 'vitest';
import { AllowedOrigins } from '../../../src/auth/allowed-origins.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { problems } from './problems.ts';

const CERT = 'test/fixtures/localhost.cert.pem';
const KEY = 'test/fixtures/localhost.key.pem';

const secret = { JWT_SECRET: 'x'.repeat(64) };

describe('loadConfig', () => {
  it('needs nothing but the secret', () => {
    expect(loadConfig(secret)).toEqual({
      jwtSecret: secret.JWT_SECRET,
      jwtSecretPrevious: [],
      port: 3000,
      host: undefined,
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
      allowedOrigins: undefined,
      metrics: false,
      metricsToken: undefined,
      trustedProxies: 0,
      enforceTokenExpiry: false,
      tls: undefined,
      compression: false,
      processes: 1,
      redisUrl: undefined,
      brokerPrefix: 'bifrost:',
      reconnectOnBrokerLoss: false,
      history: 'memory',
      historyMessages: 100,
      historyMs: 300_000,
      historyBytes: 67_108_864,
      historyFile: undefined,
      tokenAtConnect: false,
    });
  });

  it('reads every variable', () => {
    expect(
      loadConfig({
        ...secret,
        JWT_SECRET_PREVIOUS: 'one, two,',
        PORT: '0',
        HOST: '::1',
        NODE_ENV: 'production',
        LOG_LEVEL: 'debug',
        PING_INTERVAL_SECONDS: '2.5',
        AUTH_TIMEOUT_SECONDS: '0',
        DRAIN_SECONDS: '25',
        MAX_CONNECTIONS: '5',
        MAX_CHANNELS_PER_CONNECTION: '6',
        MAX_CHANNEL_LENGTH: '10',
        MAX_MESSAGE_BYTES: '1000',
        MAX_BODY_BYTES: '2000',
        MAX_BUFFERED_BYTES: '4000',
        ALLOWED_ORIGINS: 'https://example.com',
        METRICS: 'true',
        METRICS_TOKEN: 'token',
        TRUST_PROXY: '2',
        ENFORCE_TOKEN_EXPIRY: 'true',
        TLS_CERT_FILE: CERT,
        TLS_KEY_FILE: KEY,
        COMPRESSION: 'true',
        WEB_CONCURRENCY: '2',
        REDIS_URL: 'rediss://user:password@redis.example.com:6380',
        BROKER_PREFIX: 'mine:',
        ON_BROKER_LOSS: 'reconnect',
        HISTORY: 'redis',
        HISTORY_MESSAGES: '7',
        HISTORY_SECONDS: '1.5',
        HISTORY_BYTES: '1048576',
        TOKEN_AT_CONNECT: 'true',
      }),
    ).toEqual({
      jwtSecret: secret.JWT_SECRET,
      jwtSecretPrevious: ['one', 'two'],
      port: 0,
      host: '::1',
      production: true,
      development: false,
      logLevel: 'debug',
      pingIntervalMs: 2_500,
      authTimeoutMs: 0,
      drainMs: 25_000,
      maxConnections: 5,
      maxChannelsPerConnection: 6,
      maxChannelLength: 10,
      maxMessageBytes: 1_000,
      maxBodyBytes: 2_000,
      maxBufferedBytes: 4_000,
      allowedOrigins: new AllowedOrigins(['https://example.com']),
      metrics: true,
      metricsToken: 'token',
      trustedProxies: 2,
      enforceTokenExpiry: true,
      tls: { certFile: CERT, keyFile: KEY },
      compression: true,
      processes: 2,
      redisUrl: 'rediss://user:password@redis.example.com:6380',
      brokerPrefix: 'mine:',
      reconnectOnBrokerLoss: true,
      history: 'redis',
      historyMessages: 7,
      historyMs: 1_500,
      historyBytes: 1_048_576,
      historyFile: undefined,
      tokenAtConnect: true,
    });
    // The one variable that does not go with the others.
    expect(loadConfig({ ...secret, HISTORY_FILE: 'history' }).historyFile).toBe('history');
  });

  it('takes an empty variable for none', () => {
    expect(loadConfig({ ...secret, PORT: '', HOST: '' })).toEqual(loadConfig(secret));
    expect(problems({ JWT_SECRET: '' })).toEqual(['JWT_SECRET is required']);
  });

  it('takes an unknown NODE_ENV for production', () => {
    const { production, development } = loadConfig({ ...secret, NODE_ENV: 'Development' });
    expect({ production, development }).toEqual({ production: true, development: false });
    expect(loadConfig({ ...secret, NODE_ENV: 'test' }).production).toBe(false);
  });

  it('returns what nobody can change', () => {
    expect(Object.isFrozen(loadConfig(secret))).toBe(true);
  });
});
