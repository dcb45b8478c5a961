import { batchTrial } from './batch-trial.ts';
import { clusterTrial } from './cluster-trial.ts';
import { compressionMemoryTrial, compressionTrial } from './compression-trials.ts';
import { restartTrial, rollingTrial } from './deploy-trials.ts';
import { eventLoopTrial } from './event-loop-trial.ts';
import {
  historyToOneTrial,
  historyTrial,
  idleMemoryTrial,
  positionedTrial,
} from './history-trials.ts';
import { jitterTrial } from './jitter-trial.ts';
import { keptChannelsTrial } from './kept-channels-trial.ts';
import { publisherTrial } from './publisher-trial.ts';
import { recoveryTrial } from './recovery-trial.ts';
import { redisTrial } from './redis-trial.ts';
import { scaleTrial } from './scale-trial.ts';
import type { Trial } from './trial.ts';

/** In the order of the report. */
export const trials: readonly Trial[] = [
  batchTrial,
  publisherTrial,
  eventLoopTrial,
  compressionTrial,
  compressionMemoryTrial,
  redisTrial,
  clusterTrial,
  historyTrial,
  historyToOneTrial,
  positionedTrial,
  idleMemoryTrial,
  recoveryTrial,
  keptChannelsTrial,
  jitterTrial,
  restartTrial,
  rollingTrial,
  scaleTrial,
];
