import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SERVER_PROGRAM } from '../test/support/build.ts';
import type { DialectName } from './dialects.ts';

/** A program and its arguments. */
export type Command = readonly string[];

/** A server that does the job: `POST /broadcast` with a signed token, and subscribers by websocket. */
export interface Peer {
  /** For `--peer`. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly dialect: DialectName;
  /** How to start it; it reads PORT, HOST and JWT_SECRET. Undefined where it cannot run. */
  command(): Command | undefined;
  /** Why `command` may be undefined. */
  readonly needs?: string;
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

function node(script: string): Command {
  return [process.execPath, path(script)];
}

/** This server, as compiled; `options` are for Node. */
export function bifrost(...options: readonly string[]): Command {
  return [process.execPath, ...options, SERVER_PROGRAM];
}

export function wsLoop(): Command {
  return node('peers/ws-loop.js');
}

/** The name of this platform in Bun's packages. */
const BUN_PLATFORM = `linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}`;

/** The binary of Bun's platform package: `bun` itself would only link to it in an install script. */
function bunBinary(): string | undefined {
  return ['', '-musl']
    .map((libc) => path(`node_modules/@oven/bun-${BUN_PLATFORM}${libc}/bin/bun`))
    .find((binary) => spawnSync(binary, ['--version']).status === 0);
}

/** The first is the one that all others are compared with. */
export const peers: readonly [Peer, ...Peer[]] = [
  {
    name: 'bifrost',
    title: 'Bifröst',
    dialect: 'bifrost',
    command: () => bifrost(),
  },
  {
    name: 'ws',
    title: 'ws loop',
    dialect: 'bifrost',
    command: wsLoop,
  },
  {
    name: 'socket.io',
    title: 'Socket.IO',
    dialect: 'socketIo',
    command: () => node('peers/socket-io.js'),
  },
  {
    name: 'bun',
    title: 'Bun',
    dialect: 'bifrost',
    command: () => {
      const bun = bunBinary();
      return bun === undefined ? undefined : [bun, path('peers/bun.js')];
    },
    needs: `a Bun binary for ${BUN_PLATFORM}`,
  },
];

/** The version of one of the benchmark's own packages. */
export function versionOf(packageName: string): string {
  const manifest = readFileSync(path(`node_modules/${packageName}/package.json`), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
