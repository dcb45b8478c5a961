import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { versionOf } from './competitors.ts';
import { isPinned } from './cpu-pinning.ts';
import { MESSAGE_BYTES } from './load/message.ts';
import { redisVersion } from './temporary-redis.ts';

function git(...args: string[]): string {
  return (
    spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).stdout?.trim() ?? ''
  );
}

/** The commit that is measured, with a mark when the files differ from it. */
function describeCommit(): string {
  const commit = git('rev-parse', '--short', 'HEAD');
  if (commit === '') return 'unknown commit';
  return git('status', '--porcelain') === '' ? `commit ${commit}` : `commit ${commit} + changes`;
}

/** One sentence on commit, machine, versions and settings, without which no figure means anything. */
export function describeEnvironment(quick: boolean, rounds: number): string {
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'})`;
  const pinning = isPinned
    ? 'server pinned to core 0, load generators to core 1'
    : 'nothing pinned (that takes two cores and taskset)';
  const versions = ['ws', 'socket.io', 'bun']
    .map((name) => `${name} ${versionOf(name)}`)
    .concat(redisVersion === undefined ? [] : [`Redis ${redisVersion}`])
    .join(', ');
  const runs = `${quick ? 'quick: short runs, ' : ''}${rounds === 1 ? 'one run of each' : `medians of ${rounds} runs`}`;
  return `${describeCommit()}, Node ${process.version}, ${cores}, ${pinning}; ${versions}; messages of ${MESSAGE_BYTES} bytes; METRICS=true and LOG_LEVEL=info; ${runs}.`;
}
