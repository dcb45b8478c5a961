import { describe, expect, it } from 'vitest';
import { findHistoryObstacle } from '../../../../src/broker/redis/requirements.ts';

describe('a Redis that is to keep a history', () => {
  const server = (version: string) =>
    `# Server\r\nredis_version:${version}\r\nredis_mode:standalone\r\n`;
  const memory = (maxmemory: number, policy: string) =>
    `# Memory\r\nused_memory:1\r\nmaxmemory:${maxmemory}\r\nmaxmemory_human:0B\r\nmaxmemory_policy:${policy}\r\n`;

  it.each([
    ['6.2.0', 0, 'noeviction'],
    ['7.0.15', 1_000, 'noeviction'],
    ['10.0.0', 0, 'allkeys-lru'],
  ])('may be version %s with maxmemory %i and %s', (version, maxmemory, policy) => {
    expect(findHistoryObstacle(server(version), memory(maxmemory, policy))).toBeUndefined();
  });

  it.each([
    ['6.0.16', 0, 'noeviction', '6.2 or later, this is 6.0.16'],
    ['5.9.9', 0, 'noeviction', '6.2 or later'],
    ['7.2.4', 1_000, 'volatile-ttl', 'noeviction: with volatile-ttl'],
  ])('must not be version %s with maxmemory %i and %s', (version, maxmemory, policy, reason) => {
    expect(findHistoryObstacle(server(version), memory(maxmemory, policy))).toContain(reason);
  });

  it('must say what it is', () => {
    expect(findHistoryObstacle('', memory(0, 'noeviction'))).toContain('this is unknown');
    expect(findHistoryObstacle(server('7.0.0'), '')).toContain('with unknown');
  });
});
