import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../../../src/config/config.ts';
import { problems } from './problems.ts';

const CERT = 'test/fixtures/localhost.cert.pem';
const OTHER_KEY = 'test/fixtures/renewed.key.pem';
const KEY = 'test/fixtures/localhost.key.pem';

const secret = { JWT_SECRET: 'x'.repeat(64) };

describe('loadConfig refuses', () => {
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

  it.each([
    ['DRAIN_SECONDS', '26', 'must be a number of seconds from 0 to 25'],
    ['LOG_LEVEL', 'loud', 'must be one of fatal error warn info debug trace silent'],
    ['ENFORCE_TOKEN_EXPIRY', 'yes', 'must be true or false'],
    ['MAX_CONNECTIONS', '-1', 'must be an integer of at least 0'],
    ['MAX_BUFFERED_BYTES', '2097151', 'must be at least twice MAX_BODY_BYTES, 2097152'],
    ['HISTORY', 'on', 'must be memory, redis or off'],
    ...['0', '10001', '1.5'].map((messages) => [
      'HISTORY_MESSAGES',
      messages,
      'must be an integer from 1 to 10000',
    ]),
    ...['0.9', '86401'].map((text) => [
      'HISTORY_SECONDS',
      text,
      'must be a number of seconds from 1 to 86400',
    ]),
    ...['1048575', '1099511627777'].map((bytes) => [
      'HISTORY_BYTES',
      bytes,
      'must be an integer from 1048576 to 1099511627776',
    ]),
    ['TOKEN_AT_CONNECT', 'yes', 'must be true or false'],
    ...['example.com', 'https://', '*', 'https://a.*.com', 'https://*', 'https://a.com/path'].map(
      (origins) => [
        'ALLOWED_ORIGINS',
        origins,
        'must be a comma-separated list of origins such as https://example.com or https://*.example.com',
      ],
    ),
  ])('refuses %s=%s', (name = '', value = '', problem) => {
    expect(problems({ ...secret, [name]: value })).toEqual([
      `${name} ${problem}, got ${JSON.stringify(value)}`,
    ]);
  });

  it.each([
    [{ TLS_CERT_FILE: CERT }, 'TLS_CERT_FILE and TLS_KEY_FILE go together'],
    [{ TLS_KEY_FILE: KEY }, 'TLS_CERT_FILE and TLS_KEY_FILE go together'],
    [{ TLS_CERT_FILE: 'nowhere', TLS_KEY_FILE: KEY }, /must be a certificate and its key \(ENOENT/],
    [{ TLS_CERT_FILE: KEY, TLS_KEY_FILE: KEY }, /must be a certificate and its key \(/],
    [{ TLS_CERT_FILE: CERT, TLS_KEY_FILE: OTHER_KEY }, /must be a certificate and its key \(/],
  ])('refuses a certificate that cannot be used: %j', (files, problem) => {
    expect(problems({ ...secret, ...files })).toEqual([
      typeof problem === 'string'
        ? expect.stringContaining(problem)
        : expect.stringMatching(problem),
    ]);
  });

  it('never shows a key that stands where its path belongs', () => {
    const key = '-----BEGIN PRIVATE KEY-----\\nMIIEvQ…';
    expect(problems({ ...secret, TLS_CERT_FILE: CERT, TLS_KEY_FILE: key })).toEqual([
      'TLS_KEY_FILE must be the path of a file, not what is in it',
    ]);
  });

  it('lists what is wrong between variables beside what is wrong by itself', () => {
    expect(problems({ PORT: 'x', TLS_CERT_FILE: 'a', MAX_BODY_BYTES: '9000000' })).toEqual([
      'JWT_SECRET is required',
      'PORT must be an integer from 0 to 65535, got "x"',
      'TLS_CERT_FILE and TLS_KEY_FILE go together',
      'MAX_BUFFERED_BYTES must be at least twice MAX_BODY_BYTES, 18000000, got "4194304"',
    ]);
  });

  it.each([
    ['redis://redis', {}, 'bifrost:'],
    ['redis://redis/', {}, 'bifrost:'],
    ['redis://redis/0', {}, 'bifrost:'],
    ['redis://user:password@redis:6379/2', {}, 'bifrost:2:'],
    ['rediss://redis/015?x=3', {}, 'bifrost:15:'],
    ['redis://redis/2', { BROKER_PREFIX: '' }, 'bifrost:2:'],
    ['redis://redis/2', { BROKER_PREFIX: 'bifrost:' }, 'bifrost:'],
    ['redis://redis/2', { BROKER_PREFIX: 'mine:' }, 'mine:'],
  ])('with REDIS_URL=%s and %j has the prefix %s', (REDIS_URL, env, prefix) => {
    expect(loadConfig({ ...secret, REDIS_URL, ...env }).brokerPrefix).toBe(prefix);
  });

  it.each([
    [{ HISTORY: 'redis' }, ['HISTORY=redis needs REDIS_URL']],
    [
      { HISTORY: 'memory', REDIS_URL: 'redis://redis' },
      [
        'HISTORY=memory cannot be used with REDIS_URL: nodes must share their history, so set redis or off',
      ],
    ],
    [
      { HISTORY: 'redis', REDIS_URL: 'redis://redis', HISTORY_FILE: 'x' },
      ['HISTORY_FILE needs HISTORY=memory, but HISTORY is redis'],
    ],
    [
      { HISTORY: 'off', HISTORY_FILE: 'x' },
      ['HISTORY_FILE needs HISTORY=memory, but HISTORY is off'],
    ],
    [
      { REDIS_URL: 'redis://redis', HISTORY_FILE: 'x' },
      ['HISTORY_FILE needs HISTORY=memory, but HISTORY is off'],
    ],
    // A variable that is wrong by itself is the only problem.
    [{ HISTORY: 'on', HISTORY_FILE: 'x' }, ['HISTORY must be memory, redis or off, got "on"']],
    [
      { HISTORY: 'redis', REDIS_URL: 'http://redis' },
      ['REDIS_URL must be a URL that begins with redis:// or rediss://'],
    ],
    [{ HISTORY: 'redis', REDIS_URL: 'redis://redis' }, []],
    [{ HISTORY: 'off', REDIS_URL: 'redis://redis' }, []],
    [{ HISTORY: 'memory', HISTORY_FILE: 'x', WEB_CONCURRENCY: '2' }, []],
  ])('knows which history goes with what: %j', (env, expected) => {
    expect(problems({ ...secret, ...env })).toEqual(expected);
  });

  it('keeps no history with REDIS_URL unless it is told to', () => {
    expect(loadConfig({ ...secret, REDIS_URL: 'redis://redis' }).history).toBe('off');
    expect(loadConfig({ ...secret, REDIS_URL: '' }).history).toBe('memory');
  });

  it('does not show the password in a REDIS_URL that it refuses', () => {
    for (const REDIS_URL of ['http://user:password@redis', 'redis://user:password@redis/abc']) {
      expect(problems({ ...secret, REDIS_URL })).toEqual([
        'REDIS_URL must be a URL that begins with redis:// or rediss://',
      ]);
    }
  });

  it('refuses a secret of less than 16 bytes in production, which an unknown NODE_ENV is too', () => {
    const problem = 'JWT_SECRET must be at least 16 bytes long in production';
    for (const NODE_ENV of ['production', 'staging', 'Development']) {
      expect(problems({ NODE_ENV, JWT_SECRET: 'x'.repeat(15) })).toEqual([problem]);
      // Bytes, not letters.
      expect(problems({ NODE_ENV, JWT_SECRET: 'ö'.repeat(8) })).toEqual([]);
    }
    for (const NODE_ENV of ['development', 'test', '']) {
      expect(problems({ NODE_ENV, JWT_SECRET: 'x' })).toEqual([]);
    }
  });

  it('lists the problems that are known already first', () => {
    const load = () => loadConfig({ ...secret, PORT: 'x' }, ['.env cannot be read']);
    expect(load).toThrow(/- \.env cannot be read\n {2}- PORT must be/);
    expect(() => loadConfig(secret, ['.env cannot be read'])).toThrow(ConfigError);
  });
});
