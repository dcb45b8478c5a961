import { readdirSync, readFileSync } from 'node:fs';

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What a server has used so far, its child processes included. */
export interface Usage {
  /** User and system time, in seconds, by steps of 10 ms. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
}

/** /proc/PID/stat, see proc_pid_stat(5); undefined when the process is gone. */
function readStat(pid: string): Stat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is a name in parentheses, which may hold spaces; counting begins after it, at field 3.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return {
    pid: Number(pid),
    parent: field(4),
    // utime, stime, and the same of the children that have ended.
    ticks: field(14) + field(15) + field(16) + field(17),
  };
}

/** VmRSS of /proc/PID/status; 0 when the process is gone. */
function readRssBytes(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return Number(kibibytes?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}

/** Process `pid` and all below it. */
function treeOf(pid: number): readonly Stat[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(readStat)
    .filter((stat) => stat !== undefined);
  const tree = stats.filter((stat) => stat.pid === pid);
  // The list grows while it is walked, by the children of those already in it.
  for (const { pid: parent } of tree) tree.push(...stats.filter((stat) => stat.parent === parent));
  return tree;
}

/** The usage of process `pid` and all below it. Linux only. */
export function usageOf(pid: number): Usage {
  const tree = treeOf(pid);
  return {
    cpuSeconds: tree.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND,
    rssBytes: tree.reduce((sum, { pid: member }) => sum + readRssBytes(member), 0),
  };
}

/** How many files, sockets included, each process has open: `pid` and all below it. Linux only. */
export function openFilesOf(pid: number): readonly number[] {
  return treeOf(pid).map((stat) => readdirSync(`/proc/${stat.pid}/fd`).length);
}

/** How long the main thread of process `pid` was ready but had no core so far, in seconds. Linux only. */
export function waitedSecondsOf(pid: number): number {
  const [, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
  return Number(waitedNs) / 1e9;
}
