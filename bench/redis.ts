import { spawnSync } from 'node:child_process';
import { freePort } from '../test/support/free-port.ts';
import { RedisServer } from '../test/support/redis.ts';
import { launcherFor } from './processes.ts';

/** Such as `7.0.15`; undefined where it is not installed. */
export const redisVersion = /v=(\S+)/.exec(
  spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout ?? '',
)?.[1];

/** Passes `run` the URL of a new Redis, which listens on loopback only and ends with `run`. */
export async function withRedis<T>(run: (url: string) => Promise<T>): Promise<T> {
  // In production Redis has a machine of its own. Here it must at least not take from the servers.
  const redis = new RedisServer(await freePort(), [], launcherFor('load'));
  try {
    await redis.start();
    return await run(redis.url);
  } finally {
    await redis.kill('SIGKILL');
    redis.close();
  }
}
