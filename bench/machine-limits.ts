// What this machine allows, and what it would take to hold many connections: Linux only.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What limits how many connections a machine can hold. */
export interface MachineLimits {
  /** How many files a process may open; Infinity where there is no limit. */
  readonly openFiles: number;
  /** How many more files all processes together may open. */
  readonly systemFiles: number;
  readonly availableBytes: number;
  /** How many connections may go from one address to one port. */
  readonly localPorts: number;
}

/** How many files a process may open; NaN where there is no limit. */
export function readOpenFilesLimit(): number {
  return Number(spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout);
}

/** The numbers in a file of /proc/sys. */
function readNumbers(file: string): readonly number[] {
  return readFileSync(file, 'latin1').trim().split(/\s+/).map(Number);
}

/** Bytes of a line of /proc/meminfo (proc_meminfo(5)). */
function readMemory(name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm');
  return Number(line.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]) * 1_024;
}

export function readMachineLimits(): MachineLimits {
  // Allocated, unused, maximal (proc_sys_fs(5)).
  const [allocated = 0, , maximum = 0] = readNumbers('/proc/sys/fs/file-nr');
  const [firstPort = 0, lastPort = 0] = readNumbers('/proc/sys/net/ipv4/ip_local_port_range');
  const openFiles = readOpenFilesLimit();
  return {
    openFiles: Number.isNaN(openFiles) ? Number.POSITIVE_INFINITY : openFiles,
    systemFiles: maximum - allocated,
    availableBytes: readMemory('MemAvailable'),
    localPorts: lastPort - firstPort + 1,
  };
}

/** Bytes of the kernel's own objects: sockets, their inodes, files and queued packets among them. */
export function readKernelObjectBytes(): number {
  return readMemory('Slab');
}
