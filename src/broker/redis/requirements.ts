import { isRefusal, type RedisClient } from './client.ts';

/** Resolves to why this Redis can never be used, if so. */
export async function findObstacle(
  client: RedisClient,
  needs: { readonly history: boolean },
): Promise<string | undefined> {
  if (await isCluster(client)) {
    return 'REDIS_URL names a Redis Cluster, whose PUBLISH counts one of its nodes only';
  }
  if (!needs.history) return undefined;
  try {
    return findHistoryObstacle(await client.info('server'), await client.info('memory'));
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return 'HISTORY=redis needs the command INFO, which Redis does not allow this user';
  }
}

/** Why a history cannot be kept in a Redis that says this of itself. */
export function findHistoryObstacle(server: string, memory: string): string | undefined {
  const version = /^redis_version:(\S+)/m.exec(server)?.[1] ?? 'unknown';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (!(major > 6 || (major === 6 && minor >= 2))) {
    return `HISTORY=redis needs Redis 6.2 or later, this is ${version}`;
  }
  const limit = Number(/^maxmemory:(\d+)/m.exec(memory)?.[1]);
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1] ?? 'unknown';
  if (limit === 0 || policy === 'noeviction') return undefined;
  return `HISTORY=redis needs maxmemory-policy noeviction: with ${policy} Redis would drop messages unnoticed`;
}

/** False too when Redis refuses to say: managed services may forbid `INFO`. */
async function isCluster(client: RedisClient): Promise<boolean> {
  try {
    return (await client.info('cluster')).includes('cluster_enabled:1');
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

/** Whether Redis does not know the command, or does not allow it. */
function isForbidden(error: unknown): boolean {
  return isRefusal(error) && /^NOPERM|unknown command/.test(error.message);
}
