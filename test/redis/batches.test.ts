import { describe, expect, it } from 'vitest';
import { sign } from '../support/tokens.ts';
import { type Node, startNode, startNodes, startRedis } from './nodes.ts';

const FIRST = '{"message":"Success","deliveries":1,"results":[{"deliveries":1}]}';
const DUPLICATE = `${FIRST.slice(0, -1)},"duplicate":true}`;
const UNKNOWN = '{"message":"Success","deliveries":0,"results":[],"partial":true,"duplicate":true}';
const UNAVAILABLE = '{"error":"Broker unavailable"}';

async function publish(node: Node, claims: unknown): Promise<string> {
  return (await node.post(JSON.stringify({ token: sign(claims) }))).text();
}

const batch = (jti?: string) => ({ broadcasts: [{ channel: 'a', message: { jti } }], jti });

describe('a batch by way of Redis', () => {
  it('is published by a script that Redis may have forgotten', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    const client = await (await node.connect()).subscribe('a');
    for (const jti of ['x', 'y']) {
      await redis.command('SCRIPT', 'FLUSH');
      expect(await publish(node, batch(jti))).toBe(FIRST);
      expect(await publish(node, batch(jti))).toBe(DUPLICATE);
      expect(await client.next()).toEqual({ jti });
    }
    await client.ping();
  });

  it('has its jti in Redis for 120 seconds from its first sight', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1, { BROKER_PREFIX: 'p:' });
    expect(
      await publish(node, { broadcasts: [{ channels: ['a', 'b'], message: {} }], jti: 'x' }),
    ).toContain('Success');
    expect(await publish(node, batch())).toContain('Success');
    expect(await redis.command('KEYS', '*')).toEqual(['p:jti:x']);
    while ((await redis.command('GET', 'p:jti:x')) !== '0');
    const left = Number(await redis.command('PTTL', 'p:jti:x'));
    expect(left).toBeGreaterThan(60_000);
    expect(left).toBeLessThanOrEqual(120_000);
  });

  it('is answered with what is known when the answer to the first is not there within two seconds', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    // As a node leaves it that was killed while it published.
    await redis.command('SET', 'bifrost:jti:x', '');
    const client = await (await node.connect()).subscribe('a');
    expect(await publish(node, batch('x'))).toBe(UNKNOWN);
    await redis.command('SET', 'bifrost:jti:x', 'garbage');
    expect(await publish(node, batch('x'))).toBe(UNKNOWN);
    await client.ping();
  });

  it('that was refused because Redis was away is no first sight', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    await redis.kill('SIGKILL');
    await node.becomes(503);
    expect(await publish(node, batch('x'))).toBe(UNAVAILABLE);
    await redis.start();
    await node.becomes(200);
    const client = await (await node.connect()).subscribe('a');
    expect(await publish(node, batch('x'))).toBe(FIRST);
    expect(await client.next()).toEqual({ jti: 'x' });
  });

  it('that Redis took too late may have been delivered, and its retry is not', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    const client = await (await node.connect()).subscribe('a');
    redis.pause();
    expect(await publish(node, batch('x'))).toBe(UNAVAILABLE);
    redis.resume();
    expect(await client.next()).toEqual({ jti: 'x' });
    await node.becomes(200);
    expect(await publish(node, batch('x'))).toBe(UNKNOWN);
    await client.ping();
  });

  it('with a jti is refused whole when Redis is out of memory; without one it needs none', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    const client = await (await node.connect()).subscribe('a');
    expect(await publish(node, batch('before'))).toBe(FIRST);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');

    expect(await publish(node, batch('x'))).toBe(UNAVAILABLE);
    await node.book.reads(/"level":50.*OOM.*Redis refused a command/);
    expect(await publish(node, batch())).toBe(FIRST);
    expect(await publish(node, batch('before'))).toBe(DUPLICATE);
    expect((await node.health()).status).toBe(200);

    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(await publish(node, batch('x'))).toBe(FIRST);
    expect(await client.next()).toEqual({ jti: 'before' });
    expect(await client.next()).toEqual({});
    expect(await client.next()).toEqual({ jti: 'x' });
  });

  it('with a jti finds out at once that a master has become a replica', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    const client = await (await node.connect()).subscribe('a');
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    expect(await publish(node, batch('x'))).toBe(UNAVAILABLE);
    await node.book.reads(/"error":"EVALSHA refused: [^"]*READONLY.*Redis connection lost/);
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await node.becomes(200);
    expect(await publish(node, batch('x'))).toBe(FIRST);
    expect(await client.next()).toEqual({ jti: 'x' });
  });

  it('is refused where scripts are forbidden, and single broadcasts go on', async () => {
    const user = ['--user', 'bifrost', 'on', '>secret', '~*', '&*', '+@all', '-evalsha'];
    const redis = await startRedis(...user);
    const node = await startNode({ url: `redis://bifrost:secret@127.0.0.1:${redis.port}` });
    await node.becomes(200);
    const client = await (await node.connect()).subscribe('a');
    expect(await publish(node, batch())).toBe(UNAVAILABLE);
    await node.book.reads(/"level":50.*NOPERM.*Redis refused a command/);
    expect(await node.broadcast('a', { n: 1 })).toBe(1);
    expect(await client.next()).toEqual({ n: 1 });
    expect(node.book.text).not.toMatch(/connection lost/);
  });
});
