import { createHash } from 'node:crypto';
import type { BatchOutcome, BusBatch } from '../bus.ts';
import { REMEMBERED_MS } from '../request-memory.ts';
import { isRefusal, type RedisClient } from './client.ts';

/** A script that Redis keeps by its SHA-1. */
export interface RedisScript {
  readonly source: string;
  readonly sha1: string;
}

/**
 * Publishes a batch in one step and returns to how many nodes its texts were handed, added up; -1 when the `jti` was known.
 *
 * KEYS[1]: of the `jti`, absent without one. ARGV: the head of every text, the milliseconds that the `jti` is kept, the
 * number of texts, the texts, and for each topic its name and the number of its text.
 */
const PUBLISH_BATCH = createScript(`
if KEYS[1] then
  if redis.call('EXISTS', KEYS[1]) == 1 then return -1 end
  -- The first write of a script is the one that Redis refuses when it is out of memory: nothing is published then.
  redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
end
local first = 4 + tonumber(ARGV[3])
local reached = 0
for at = first, #ARGV, 2 do
  local head = ARGV[1] .. ':' .. (at - first) / 2 .. ' '
  reached = reached + redis.call('PUBLISH', ARGV[at], head .. ARGV[4 + tonumber(ARGV[at + 1])])
end
return reached
`);

/** Publishes a batch that is not kept. `key` is of its `jti`. */
export async function publishBatch(
  client: RedisClient,
  { head, topics, textOf, texts }: BusBatch,
  key: string | undefined,
): Promise<BatchOutcome> {
  const places = topics.flatMap((topic, at) => [topic, String(textOf[at])]);
  const reached = await runScript(client, PUBLISH_BATCH, {
    keys: key === undefined ? [] : [key],
    arguments: [head, String(REMEMBERED_MS), String(texts.length), ...texts, ...places],
  });
  if (typeof reached !== 'number') throw new Error('Redis answered a script with no number');
  return reached < 0 ? 'duplicate' : { reached, position: undefined };
}

/** Runs a script that Redis may have forgotten: after a restart, a failover or `SCRIPT FLUSH`. */
export async function runScript(
  client: RedisClient,
  { source, sha1 }: RedisScript,
  options: { keys: string[]; arguments: string[] },
): Promise<unknown> {
  try {
    return await client.evalSha(sha1, options);
  } catch (error) {
    if (!isRefusal(error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.eval(source, options);
  }
}

export function createScript(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') };
}
