import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVER_PROGRAM } from '../test/support/build.ts';
import type { ProtocolName } from './load/protocol-adapters.ts';

/** A program and its arguments. */
export type Command = readonly string[];

/** A server that does the job: `POST /broadcast` with a signed token, and subscribers over websockets. */
export interface Competitor {
  /** For `--peer` and the JSON lines. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly protocol: ProtocolName;
  /** Starts a server that reads PORT, HOST and JWT_SECRET. Undefined where it cannot run. */
  command(): Command | undefined;
  /** What is missing where `command` is undefined. */
  readonly requirement?: string;
}

function pathOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

function nodeCommand(script: string): Command {
  return [process.execPath, pathOf(script)];
}

/** Starts this server, as compiled. */
export function bifrostCommand(...nodeOptions: readonly string[]): Command {
  return [process.execPath, ...nodeOptions, SERVER_PROGRAM];
}

export function wsLoopCommand(): Command {
  return nodeCommand('competitors/ws-loop.js');
}

export function socketIoCommand(): Command {
  return nodeCommand('competitors/socket-io.js');
}

/** The name of this platform in Bun's packages. */
const BUN_PLATFORM = `linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}`;

/** The binary of Bun's platform package. The package `bun` would only link to it, in an install script. */
function findBun(): string | undefined {
  return ['', '-musl']
    .map((libc) => pathOf(`node_modules/@oven/bun-${BUN_PLATFORM}${libc}/bin/bun`))
    .find((binary) => spawnSync(binary, ['--version']).status === 0);
}

function bunCommand(): Command | undefined {
  const bun = findBun();
  return bun === undefined ? undefined : [bun, pathOf('competitors/bun.js')];
}

/** This server, with which all others are compared. */
export const bifrost: Competitor = {
  name: 'bifrost',
  title: 'Bifröst',
  protocol: 'bifrost',
  command: () => bifrostCommand(),
};

/** This server as it is built in another checkout: to see what a change costs, compared with the version before it. */
export function otherBuild(folder: string): Competitor {
  const program = resolve(folder, 'dist/main.js');
  return {
    name: 'other-build',
    title: 'other build',
    protocol: 'bifrost',
    command: () => (existsSync(program) ? [process.execPath, program] : undefined),
    requirement: `${program}: run npm ci && npm run build there`,
  };
}

/** In the order of the report. */
export const competitors: readonly Competitor[] = [
  bifrost,
  { name: 'ws', title: 'ws loop', protocol: 'bifrost', command: wsLoopCommand },
  {
    name: 'socket.io',
    title: 'Socket.IO',
    protocol: 'socketIo',
    command: socketIoCommand,
  },
  {
    name: 'bun',
    title: 'Bun',
    protocol: 'bifrost',
    command: bunCommand,
    requirement: `a Bun binary for ${BUN_PLATFORM}`,
  },
];

/** The version of one of the benchmark's own packages. */
export function versionOf(packageName: string): string {
  const manifest = readFileSync(pathOf(`node_modules/${packageName}/package.json`), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
