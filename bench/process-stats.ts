import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What a process and its descendants have used so far. */
export interface Usage {
  /** User and system time, in steps of 10 ms. */
  readonly cpuSeconds: number;
  /** Resident memory now. */
  readonly rssBytes: number;
}

/** Some of the fields of /proc/PID/stat. */
interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** CPU time, that of ended children included. */
  readonly ticks: number;
}

/** Reads /proc/PID/stat, see proc_pid_stat(5). Undefined when the process has ended. */
function readStat(pid: string): ProcessStat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // Field 2 is a name in parentheses, which may contain spaces. The rest, from field 3 on, does not.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return {
    pid: Number(pid),
    parent: field(4),
    // utime, stime, cutime, cstime: the last two are those of ended children.
    ticks: field(14) + field(15) + field(16) + field(17),
  };
}

/** VmRSS of /proc/PID/status. 0 when the process has ended. */
function readRssBytes(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return Number(kibibytes?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}

/** Forgets the peak of the resident memory of process `pid` so far (proc_pid_clear_refs(5)). Linux only. */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The highest resident memory of process `pid` since `resetPeakRss`. Linux only. */
export function readPeakRssBytes(pid: number): number {
  const [, kibibytes] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kibibytes) * 1_024;
}

/** Process `pid` and its descendants. */
function readProcessTree(pid: number): readonly ProcessStat[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(readStat)
    .filter((stat) => stat !== undefined);
  const tree = stats.filter((stat) => stat.pid === pid);
  // The loop also visits what it appends: children, then their children.
  for (const { pid: parent } of tree) tree.push(...stats.filter((stat) => stat.parent === parent));
  return tree;
}

/** The usage of process `pid` and its descendants. Linux only. */
export function readUsage(pid: number): Usage {
  const tree = readProcessTree(pid);
  return {
    cpuSeconds: tree.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND,
    rssBytes: tree.reduce((sum, { pid: member }) => sum + readRssBytes(member), 0),
  };
}

/** The ids of process `pid` and its descendants. Linux only. */
export function readProcessIds(pid: number): readonly number[] {
  return readProcessTree(pid).map((stat) => stat.pid);
}

/** How many files, sockets included, process `pid` and each of its descendants has open. Linux only. */
export function countOpenFiles(pid: number): readonly number[] {
  return readProcessTree(pid).map((stat) => readdirSync(`/proc/${stat.pid}/fd`).length);
}

/** For how many seconds in all the main thread of process `pid` could have run but had no core. Linux only. */
export function readSecondsWithoutCore(pid: number): number {
  // The second number of proc_pid_schedstat: nanoseconds in the run queue.
  const [, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
  return Number(waitedNs) / 1e9;
}
