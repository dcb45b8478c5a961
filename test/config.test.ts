import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../src/config.ts';

const secret = { JWT_SECRET: 'x'.repeat(64) };

function problems(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('needs nothing but the secret', () => {
    expect(loadConfig(secret)).toEqual({
      jwtSecret: secret.JWT_SECRET,
      port: 3000,
      host: undefined,
      pingIntervalMs: 15_000,
      maxMessageBytes: 65_536,
      maxBodyBytes: 1_048_576,
      maxChannelLength: 255,
    });
  });

  it('reads every variable', () => {
    expect(
      loadConfig({
        ...secret,
        PORT: '0',
        HOST: '::1',
        NODE_ENV: 'production',
        PING_INTERVAL_SECONDS: '2.5',
        MAX_MESSAGE_BYTES: '1000',
        MAX_BODY_BYTES: '2000',
        MAX_CHANNEL_LENGTH: '10',
      }),
    ).toEqual({
      jwtSecret: secret.JWT_SECRET,
      port: 0,
      host: '::1',
      pingIntervalMs: 2_500,
      maxMessageBytes: 1_000,
      maxBodyBytes: 2_000,
      maxChannelLength: 10,
    });
  });

  it('takes an empty variable for none', () => {
    expect(loadConfig({ ...secret, PORT: '', HOST: '' })).toEqual(loadConfig(secret));
    expect(problems({ JWT_SECRET: '' })).toEqual(['JWT_SECRET is required']);
  });

  it('lists every problem at once', () => {
    expect(problems({ PORT: '-1', PING_INTERVAL_SECONDS: 'soon', MAX_BODY_BYTES: '1e6' })).toEqual([
      'JWT_SECRET is required',
      'PORT must be an integer from 0 to 65535, got "-1"',
      'PING_INTERVAL_SECONDS must be a number of seconds from 0.1 to 86400, got "soon"',
      'MAX_BODY_BYTES must be an integer from 128 to 268435456, got "1e6"',
    ]);
  });

  it.each(['65536', '1.5', ' 80', '0x50', 'NaN', 'http'])('refuses PORT=%s', (PORT) => {
    expect(problems({ ...secret, PORT })).toEqual([
      `PORT must be an integer from 0 to 65535, got ${JSON.stringify(PORT)}`,
    ]);
  });

  it('returns what nobody can change', () => {
    expect(Object.isFrozen(loadConfig(secret))).toBe(true);
  });
});
