import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { sign } from '../support/tokens.ts';
import { inParallel, type Target, times } from './attack.ts';
import { post, talkHttp } from './http-wire.ts';
import { Publisher } from './publisher.ts';
import { type Outcome, Tally } from './tally.ts';
import { HANDSHAKE, subscribe, TEXT, WireClient } from './wire.ts';

/** How the server is started that is to end. */
export const DRAIN_SECONDS = 4;
const CHANNEL = 'drain';
/** One of so many ignores its close frame. */
const STUBBORN = 20;
const WARM_UP_BROADCASTS = 10;

export function drainReceivers(target: Target): number {
  return times(target, 2_000);
}

interface Receiver {
  readonly client: WireClient;
  /** What it received, in its order. */
  readonly sequences: number[];
  closedAt: number;
}

export interface DrainReport extends Outcome {
  readonly broadcasts: number;
  readonly deliveries: number;
  /** Sockets closed in each second after SIGTERM. */
  readonly closedPerSecond: readonly number[];
}

let receivers: Receiver[] = [];
/** Sequence number → deliveries, as answered with 200. */
const answered = new Map<number, number>();
let publishing: Promise<void>;
let signalledAt = 0;
let isOver = false;

/** Subscribes everyone and publishes as fast as answers come; resolves when the load is on. */
export async function openDrain(target: Target): Promise<void> {
  await inParallel(drainReceivers(target), 50, async (index) => {
    const client = new WireClient(target.port, {
      answersClose: index % STUBBORN !== 0,
      patienceMs: 40_000,
    });
    const receiver: Receiver = { client, sequences: [], closedAt: 0 };
    await client.send(HANDSHAKE, subscribe([CHANNEL])).received(1);
    client.onFrame = ({ opcode, payload }) => {
      if (opcode !== TEXT) return;
      receiver.sequences.push(Number(/^\{"sequence":(\d+)/.exec(payload.toString())?.[1]));
    };
    client.onClose = () => {
      receiver.closedAt = performance.now();
    };
    receivers.push(receiver);
  });
  const publisher = new Publisher(target.port);
  let warm = () => {};
  const warmedUp = new Promise<void>((resolve) => {
    warm = resolve;
  });
  const publish = async () => {
    for (let sequence = 1; !isOver; sequence += 1) {
      try {
        const text = JSON.stringify({ sequence, padding: 'x'.repeat(200) });
        const { status, deliveries } = await publisher.publish(CHANNEL, text);
        if (status !== 200) break;
        answered.set(sequence, deliveries);
      } catch {
        // The listener is gone, which is how it must end.
        break;
      }
      if (sequence === WARM_UP_BROADCASTS) warm();
    }
    publisher.close();
  };
  publishing = publish();
  await warmedUp;
}

/** To be called at the moment of SIGTERM. */
export function markDrain(): void {
  signalledAt = performance.now();
}

/** A post begun before SIGTERM and finished in the middle of the drain: it must be answered. */
export async function slowPost({ port }: Target): Promise<number> {
  const bytes = post(JSON.stringify({ token: sign({ channel: 'nobody', message: {} }) }));
  const { replies } = await talkHttp(port, bytes.subarray(0, -20), {
    replies: 1,
    feed: async (socket) => {
      await delay(DRAIN_SECONDS * 500);
      socket.write(bytes.subarray(-20));
    },
  });
  return replies[0]?.status ?? 0;
}

/** A connection that never finishes its request must not hold up the end. */
export function hangingRequest({ port }: Target): void {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{');
}

/** Resolves when every connection is gone: who received what, and when each was said goodbye. */
export async function drainReport(): Promise<DrainReport> {
  await Promise.all(receivers.map(({ client }) => client.gone));
  isOver = true;
  await publishing;

  const tally = new Tally();
  const receivedBy = new Map<number, number>();
  const closedPerSecond: number[] = [];
  for (const { client, sequences, closedAt } of receivers) {
    const { close, fault } = client;
    const isGoodbye = close?.code === 1001 && close.reason === 'Server shutting down';
    tally.check(isGoodbye && fault === undefined, () => `drained with ${client.describe()}`);
    const second = Math.floor((closedAt - signalledAt) / 1_000);
    closedPerSecond[second] = (closedPerSecond[second] ?? 0) + 1;

    // What is received before a goodbye is everything from the first broadcast on, without a gap.
    const gap = sequences.findIndex((sequence, index) => sequence !== index + 1);
    if (gap !== -1) tally.fault(`a receiver got ${sequences[gap]} as number ${gap + 1}`);
    for (const sequence of sequences) receivedBy.set(sequence, (receivedBy.get(sequence) ?? 0) + 1);
  }

  let deliveries = 0;
  for (const [sequence, promised] of answered) {
    const got = receivedBy.get(sequence) ?? 0;
    deliveries += got;
    if (got !== promised) tally.fault(`${promised} deliveries answered, ${got} received`);
  }
  // No second of the window may be spared, and none may have it all.
  for (let second = 0; second < DRAIN_SECONDS; second += 1) {
    const share = (closedPerSecond[second] ?? 0) / receivers.length;
    if (share < 0.1 || share > 0.5)
      tally.fault(`${Math.round(share * 100)} % left in second ${second}`);
  }
  receivers = [];
  return {
    ...tally.outcome,
    broadcasts: answered.size,
    deliveries,
    closedPerSecond: Array.from(closedPerSecond, (count) => count ?? 0),
  };
}
