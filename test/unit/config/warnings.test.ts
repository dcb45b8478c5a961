import { describe, expect, it } from 'vitest';
import { environmentWarnings } from '../../../src/config/warnings.ts';

describe('environmentWarnings', () => {
  it('name a NODE_ENV that is unknown', () => {
    for (const NODE_ENV of ['production', 'development', 'test', '']) {
      expect(environmentWarnings({ NODE_ENV })).toEqual([]);
    }
    expect(environmentWarnings({ NODE_ENV: 'Production' })).toEqual([
      expect.stringMatching(/^NODE_ENV="Production" is treated like production: /),
    ]);
  });

  it('say that a secret has white space around it, and do not show it', () => {
    for (const JWT_SECRET of ['secret\n', ' secret']) {
      const warnings = environmentWarnings({ JWT_SECRET });
      expect(warnings).toEqual([expect.stringMatching(/^JWT_SECRET begins or ends with white/)]);
      expect(warnings.join()).not.toContain('secret\n');
    }
  });

  it('say that nobody can recover when Redis is set and no history', () => {
    for (const HISTORY of ['redis', 'off']) {
      expect(environmentWarnings({ REDIS_URL: 'redis://redis', HISTORY })).toEqual([]);
    }
    expect(environmentWarnings({ REDIS_URL: '' })).toEqual([]);
    for (const env of [{}, { HISTORY: '' }]) {
      expect(environmentWarnings({ REDIS_URL: 'redis://:password@redis', ...env })).toEqual([
        expect.stringMatching(
          /^REDIS_URL without HISTORY: clients that come back cannot recover what they missed; set HISTORY=/,
        ),
      ]);
    }
  });

  it.each([
    ['MAX_CONECTIONS', 'MAX_CONNECTIONS'],
    ['MAX_CONNECTION', 'MAX_CONNECTIONS'],
    ['MAX_CONECTION', 'MAX_CONNECTIONS'],
    ['max_connections', 'MAX_CONNECTIONS'],
    ['MAX-CONNECTIONS', 'MAX_CONNECTIONS'],
    ['JWT_SECERT', 'JWT_SECRET'],
    ['JWTSECRET', 'JWT_SECRET'],
    ['JWT_SECRET_PREVIUOS', 'JWT_SECRET_PREVIOUS'],
    ['NODE_EVN', 'NODE_ENV'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['REDIS_URI', 'REDIS_URL'],
    ['ALLOWED_ORIGIN', 'ALLOWED_ORIGINS'],
    ['AUTH_TIMEOUT_SECOND', 'AUTH_TIMEOUT_SECONDS'],
    ['METRIC', 'METRICS'],
    ['METRIC_TOKEN', 'METRICS_TOKEN'],
    ['WEB_CONCURENCY', 'WEB_CONCURRENCY'],
    ['TLS_CERT_FIL', 'TLS_CERT_FILE'],
    ['port', 'PORT'],
    ['HISTROY', 'HISTORY'],
    ['HISTORY_MESSAGE', 'HISTORY_MESSAGES'],
    ['HISTORYFILE', 'HISTORY_FILE'],
    ['TOKEN_ON_CONNECT', 'TOKEN_AT_CONNECT'],
  ])('ask whether %s was meant to be %s, and do not show its value', (name, meant) => {
    expect(environmentWarnings({ [name]: 'its value' })).toEqual([
      `${name} is not read: is ${meant} meant?`,
    ]);
  });

  it('say nothing of names that only look alike', () => {
    const names =
      'POST PORTS SPORT REPORT HOSTS HOSTNAME HOSTTYPE GHOST METRICS_PORT MATRIX NODE_PATH NODE_OPTIONS NODE_ENVIRONMENT ' +
      'NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED SSL_CERT_FILE SSL_CERT_DIR TLS_CA_FILE ' +
      'REDIS_HOST REDIS_PORT REDIS_USER REDIS_TLS_URL REDIS_SERVICE_HOST BIFROST_PORT DATABASE_URL WEB_MEMORY MAX_MEMORY ' +
      'MAX_BODY JWT_ISSUER ALLOWED_HOSTS LOG_FILE LOGNAME HISTFILE HISTSIZE HISTFILESIZE HISTCONTROL PATH HOME SHELL TERM LANG PWD SHLVL DYNO _';
    const env = Object.fromEntries(names.split(' ').map((name) => [name, 'x']));
    expect(environmentWarnings(env)).toEqual([]);
  });
});
