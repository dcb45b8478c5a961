import { endChild } from '../test/support/child-cleanup.ts';
import type { RpcChild } from '../test/support/child-rpc.ts';
import type { ScaleProcedures } from './load/scale-process.ts';
import { loopbackAddress, type ScalePlan } from './scale-plan.ts';
import { startLoadGenerator } from './testbed.ts';

/** Below the backlog of a listening socket, 511, which all workers share. */
const HANDSHAKES_IN_FLIGHT = 400;

type ProcedureName = keyof ScaleProcedures & string;

/** Many clients, in as many processes as the plan says. */
export class ScaleClients {
  /** How many are connected. */
  size = 0;
  readonly #processes: readonly RpcChild<ScaleProcedures>[];
  readonly #plan: ScalePlan;
  readonly #target: { readonly port: number; readonly channel: string };

  /** They will connect to this port, and listen to this channel and one of their own each. */
  constructor(plan: ScalePlan, target: { readonly port: number; readonly channel: string }) {
    this.#plan = plan;
    this.#target = target;
    this.#processes = Array.from({ length: plan.processes }, () =>
      startLoadGenerator<ScaleProcedures>('scale-process', 'any'),
    );
  }

  /** Resolves when this many more are subscribed. */
  async connect(count: number): Promise<void> {
    const { processes, addresses } = this.#plan;
    const inFlight = Math.ceil(HANDSHAKES_IN_FLIGHT / processes);
    const connecting = this.#processes.map(({ call }, index) => {
      const before = Math.floor((count * index) / processes);
      const share = Math.floor((count * (index + 1)) / processes) - before;
      return call('connect', {
        ...this.#target,
        count: share,
        // Each process has addresses of its own, so that no two look for the same port.
        addresses: Array.from({ length: Math.ceil(addresses / processes) }, (_, n) =>
          loopbackAddress(n * processes + index),
        ),
        firstUser: this.size + before,
        inFlight,
      });
    });
    await Promise.all(connecting);
    this.size += count;
  }

  /** Calls a procedure of every process. Resolves to all results, rejects with the first error. */
  call<N extends ProcedureName>(
    name: N,
    argument: Parameters<ScaleProcedures[N]>[0],
  ): Promise<Awaited<ReturnType<ScaleProcedures[N]>>[]> {
    return Promise.all(this.#processes.map(({ call }) => call(name, argument)));
  }

  async end(): Promise<void> {
    await Promise.all(this.#processes.map(({ child }) => endChild(child, 'SIGKILL')));
  }
}
