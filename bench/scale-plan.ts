import type { MachineLimits } from './machine-limits.ts';

/** How many processes hold the connections, and from where these come. */
export interface ScalePlan {
  /** Of the server, and as many of the load generator. */
  readonly processes: number;
  /** How many addresses of the loopback network the clients connect from. */
  readonly addresses: number;
}

/** Which part of its limit of open files a process may use, at most. */
export const MAX_FILES_SHARE = 0.5;
/** The kernel gives a connection to whichever worker is idle, so some get more than others. */
const SHARE_MARGIN = 1.3;
/** Files that a process opens besides its connections. */
const SPARE_FILES = 100;
/** Two, so that a run with few connections shows as much as one with many. */
const MIN_PROCESSES = 2;
/** The further the ports of an address are used up, the longer it takes to find a free one. */
const MAX_PORTS_SHARE = 0.5;
/** What a connection takes in the server, the load generator and the kernel, about twice as much as was measured. */
const BYTES_PER_CONNECTION = 50_000;
const BYTES_PER_PROCESS = 100_000_000;

/** As many processes as keep each below half of its limit of open files. */
export function planScale(connections: number, limits: MachineLimits): ScalePlan {
  const filesEach = limits.openFiles * MAX_FILES_SHARE - SPARE_FILES;
  return {
    processes: Math.max(MIN_PROCESSES, Math.ceil((connections * SHARE_MARGIN) / filesEach)),
    addresses: Math.ceil(connections / (limits.localPorts * MAX_PORTS_SHARE)),
  };
}

/** What a machine lacks for so many connections to itself; undefined when nothing. */
export function findShortage(connections: number, limits: MachineLimits): string | undefined {
  const minFiles = 4 * SPARE_FILES;
  if (limits.openFiles < minFiles) {
    return `${minFiles} open files for each process; raise ulimit -Hn, now ${limits.openFiles}`;
  }
  const { processes } = planScale(connections, limits);
  // Both ends of a connection are files.
  const files = 2 * (connections + processes * SPARE_FILES);
  if (limits.systemFiles < files) {
    return `${files} more open files; raise fs.file-max, which leaves ${limits.systemFiles}`;
  }
  const bytes = connections * BYTES_PER_CONNECTION + 2 * processes * BYTES_PER_PROCESS;
  if (limits.availableBytes < bytes) {
    return `${toGb(bytes)} GB of memory, of which ${toGb(limits.availableBytes)} are available`;
  }
  return undefined;
}

function toGb(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}

/** An address of 127.0.0.0/8, none of which has to be set up. The first one is 127.1.0.1. */
export function loopbackAddress(index: number): string {
  return `127.${1 + Math.floor(index / 62_500)}.${Math.floor(index / 250) % 250}.${1 + (index % 250)}`;
}
