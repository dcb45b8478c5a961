import { broadcast } from './broadcast.ts';
import { check } from './check.ts';
import type { Command } from './command.ts';
import { listen } from './listen.ts';
import { secret } from './secret.ts';
import { start } from './start.ts';
import { testServer } from './test-server.ts';
import { token } from './token.ts';

/** All commands by their names, in the order of `bifrost --help`. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({ start, secret, token, broadcast, listen, check, 'test-server': testServer }),
);
