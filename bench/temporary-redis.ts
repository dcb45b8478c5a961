import { spawnSync } from 'node:child_process';
import { freePort } from '../test/support/free-port.ts';
import { RedisServer } from '../test/support/redis.ts';
import { launcherFor } from './cpu-pinning.ts';

/** The version of redis-server, such as `7.0.15`. Undefined where it is not installed. */
export const redisVersion = /v=(\S+)/.exec(
  spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout ?? '',
)?.[1];

/** Passes `run` the URL of a new and empty Redis, which ends when `run` has settled. */
export async function withTemporaryRedis<T>(run: (url: string) => Promise<T>): Promise<T> {
  // Redis usually has a machine of its own. Here it must at least take no CPU time from the servers.
  const redis = new RedisServer(await freePort(), [], launcherFor('load'));
  try {
    await redis.start();
    return await run(redis.url);
  } finally {
    await redis.kill('SIGKILL');
    redis.close();
  }
}
