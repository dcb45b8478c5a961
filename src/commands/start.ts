import { parseOptions } from './arguments.ts';
import type { Command } from './command.ts';

export const start: Command = {
  summary: 'run the server',
  help: `bifrost start

Runs the server, like npm start. Outside production it makes a JWT_SECRET when there is none, and keeps it in .env.`,
  async run(args) {
    parseOptions(args, {});
    await import('../start.ts');
  },
};
