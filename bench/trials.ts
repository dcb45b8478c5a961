import type { Trial } from './trial.ts';
import { clusterTrial } from './trial-cluster.ts';
import { deflateMemoryTrial, deflateTrial } from './trial-deflate.ts';
import { loopTrial } from './trial-loop.ts';
import { redisTrial } from './trial-redis.ts';

export const trials: readonly Trial[] = [
  loopTrial,
  deflateTrial,
  deflateMemoryTrial,
  redisTrial,
  clusterTrial,
];
