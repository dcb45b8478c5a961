// A process of its own, so that attacking takes no CPU time from the control group.
import { serveProcedures } from '../support/child-rpc.ts';
import type { Target } from './attack.ts';
import { attacks } from './attacks.ts';
import {
  markSignal,
  openHangingRequest,
  postSlowly,
  reportDrain,
  startDrainLoad,
} from './drain-load.ts';
import { openSlowReaders } from './slow-readers.ts';

const procedures = {
  runAttack({ name, target }: { name: string; target: Target }) {
    const attack = attacks[name];
    if (attack === undefined) throw new Error(`There is no attack "${name}"`);
    return attack(target);
  },
  openSlowReaders,
  startDrainLoad,
  markSignal,
  postSlowly,
  openHangingRequest,
  reportDrain,
};

export type AttackerProcedures = typeof procedures;
serveProcedures(procedures);
