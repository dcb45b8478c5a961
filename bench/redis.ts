import { spawnSync } from 'node:child_process';
import { kill, spawnServer } from './processes.ts';
import { freePort } from './stage.ts';

const REDIS_SERVER = 'redis-server';

/** Such as `7.0.15`; undefined where it is not installed. */
export const redisVersion = /v=(\S+)/.exec(
  spawnSync(REDIS_SERVER, ['--version'], { encoding: 'utf8' }).stdout ?? '',
)?.[1];

/** Lends `work` the URL of a Redis that is new, listens on loopback only, writes no files and ends with `work`. */
export async function withRedis<T>(work: (url: string) => Promise<T>): Promise<T> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  // Redis has a machine of its own as a rule; here it must at least not take from the servers.
  const { child } = spawnServer({ file: REDIS_SERVER, args }, {}, 'load');
  try {
    return await work(`redis://127.0.0.1:${port}`);
  } finally {
    await kill(child);
  }
}
