import { randomBytes } from 'node:crypto';
import { parseOptions } from './arguments.ts';
import type { Command } from './command.ts';

export const secret: Command = {
  summary: 'print a random JWT_SECRET',
  help: `bifrost secret

Prints 64 random bytes in hexadecimal: a good JWT_SECRET.`,
  run(args) {
    parseOptions(args, {});
    console.log(randomBytes(64).toString('hex'));
  },
};
