// The attacker's part in a drain under load: many subscribers, a publisher, and requests that never end.
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { sign } from '../support/tokens.ts';
import { inParallel, type Target, times } from './attack.ts';
import { HANDSHAKE, subscribe } from './client-messages.ts';
import { post, sendHttp } from './http-client.ts';
import { deliveriesIn, Publisher } from './publisher.ts';
import { type Outcome, ResultCollector } from './result-collector.ts';
import { TEXT, WireClient } from './wire-client.ts';

/** The drain window of the server. */
export const DRAIN_SECONDS = 4;
const CHANNEL = 'drain';
/** One of so many subscribers ignores its close frame. */
const SILENT_INTERVAL = 20;
const WARM_UP_BROADCASTS = 10;
/** Of the connections, in each second of the window. */
const MIN_SHARE = 0.1;
const MAX_SHARE = 0.5;

export function drainSubscriberCount(target: Target): number {
  return times(target, 2_000);
}

interface DrainSubscriber {
  readonly client: WireClient;
  /** The sequence numbers it received, in their order. */
  readonly sequences: number[];
  closedAt: number;
}

export interface DrainReport extends Outcome {
  readonly broadcasts: number;
  readonly deliveries: number;
  /** Websockets closed in each second after SIGTERM. */
  readonly closedPerSecond: readonly number[];
}

let subscribers: DrainSubscriber[] = [];
/** Deliveries by sequence number, as answered with 200. */
const answered = new Map<number, number>();
let publishing: Promise<void>;
let signalledAt = 0;
let isOver = false;

/** Subscribes all and publishes as fast as replies come. Resolves when broadcasts get through. */
export async function startDrainLoad(target: Target): Promise<void> {
  await inParallel(drainSubscriberCount(target), 50, async (index) => {
    subscribers.push(await openSubscriber(target.port, index % SILENT_INTERVAL !== 0));
  });
  await new Promise<void>((resolve) => {
    publishing = publishUntilOver(target.port, resolve);
  });
}

async function openSubscriber(port: number, answersClose: boolean): Promise<DrainSubscriber> {
  const client = new WireClient(port, { answersClose, idleTimeoutMs: 40_000 });
  const subscriber: DrainSubscriber = { client, sequences: [], closedAt: 0 };
  await client.send(HANDSHAKE, subscribe([CHANNEL])).received(1);
  client.onFrame = ({ opcode, payload }) => {
    if (opcode !== TEXT) return;
    subscriber.sequences.push(Number(/^\{"sequence":(\d+)/.exec(payload.toString())?.[1]));
  };
  client.onClose = () => {
    subscriber.closedAt = performance.now();
  };
  return subscriber;
}

async function publishUntilOver(port: number, onWarm: () => void): Promise<void> {
  const publisher = new Publisher(port);
  for (let sequence = 1; !isOver; sequence += 1) {
    try {
      const text = JSON.stringify({ sequence, padding: 'x'.repeat(200) });
      const reply = await publisher.publish(CHANNEL, text);
      if (reply.status !== 200) break;
      answered.set(sequence, deliveriesIn(reply));
    } catch {
      // The server has closed its listener, which ends the publishing of every run.
      break;
    }
    if (sequence === WARM_UP_BROADCASTS) onWarm();
  }
  publisher.close();
}

/** Call it at the moment of SIGTERM. */
export function markSignal(): void {
  signalledAt = performance.now();
}

/** A post that begins before SIGTERM and ends in the middle of the drain. Resolves to its status, which must be 200. */
export async function postSlowly({ port }: Target): Promise<number> {
  const bytes = post(JSON.stringify({ token: sign({ channel: 'nobody', message: {} }) }));
  const { replies } = await sendHttp(port, bytes.subarray(0, -20), {
    replies: 1,
    feed: async (socket) => {
      await delay(DRAIN_SECONDS * 500);
      socket.write(bytes.subarray(-20));
    },
  });
  return replies[0]?.status ?? 0;
}

/** Leaves a request unfinished, which must not delay the end of the server. */
export function openHangingRequest({ port }: Target): void {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{');
}

/** Resolves when every connection has closed. */
export async function reportDrain(): Promise<DrainReport> {
  await Promise.all(subscribers.map(({ client }) => client.disconnected));
  isOver = true;
  await publishing;

  const results = new ResultCollector();
  for (const subscriber of subscribers) checkSubscriber(subscriber, results);
  const deliveries = checkDeliveries(results);
  const closedPerSecond = checkPace(results);
  subscribers = [];
  return { ...results.outcome, broadcasts: answered.size, deliveries, closedPerSecond };
}

/** Each must be closed with 1001, and receive every broadcast from the first to its close frame without a gap. */
function checkSubscriber({ client, sequences }: DrainSubscriber, results: ResultCollector): void {
  const { close, fault } = client;
  const isShutdown = close?.code === 1001 && close.reason === 'Server shutting down';
  results.check(isShutdown && fault === undefined, () => `drained with ${client.describe()}`);
  const gap = sequences.findIndex((sequence, index) => sequence !== index + 1);
  if (gap !== -1) results.addFault(`a subscriber got ${sequences[gap]} as number ${gap + 1}`);
}

/** The deliveries of each reply must be the number of subscribers that received the message. Returns their sum. */
function checkDeliveries(results: ResultCollector): number {
  const receivedBy = new Map<number, number>();
  for (const { sequences } of subscribers) {
    for (const sequence of sequences) receivedBy.set(sequence, (receivedBy.get(sequence) ?? 0) + 1);
  }
  let deliveries = 0;
  for (const [sequence, expected] of answered) {
    const received = receivedBy.get(sequence) ?? 0;
    deliveries += received;
    if (received !== expected) {
      results.addFault(`${expected} deliveries answered, ${received} received`);
    }
  }
  return deliveries;
}

/** Closing must spread over the whole window. Returns how many websockets were closed in each second. */
function checkPace(results: ResultCollector): number[] {
  const perSecond: number[] = [];
  for (const { closedAt } of subscribers) {
    const second = Math.floor((closedAt - signalledAt) / 1_000);
    perSecond[second] = (perSecond[second] ?? 0) + 1;
  }
  for (let second = 0; second < DRAIN_SECONDS; second += 1) {
    const share = (perSecond[second] ?? 0) / subscribers.length;
    if (share < MIN_SHARE || share > MAX_SHARE) {
      results.addFault(`${Math.round(share * 100)} % closed in second ${second}`);
    }
  }
  return Array.from(perSecond, (count) => count ?? 0);
}
