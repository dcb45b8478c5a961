// The process that attacks, so that it never slows the honest.
import type { Target } from './attack.ts';
import { attacks } from './attacks.ts';
import { drainReport, hangingRequest, markDrain, openDrain, slowPost } from './drain.ts';
import { answer } from './rpc.ts';
import { openSlowReaders } from './slow.ts';

const calls = {
  attack({ name, target }: { name: string; target: Target }) {
    const attack = attacks[name];
    if (attack === undefined) throw new Error(`no attack is called ${name}`);
    return attack(target);
  },
  openSlowReaders,
  openDrain,
  markDrain,
  slowPost,
  hangingRequest,
  drainReport,
};

export type AttackerCalls = typeof calls;
answer(calls);
