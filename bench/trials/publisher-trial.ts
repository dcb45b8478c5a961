import { endChild } from '../../test/support/child-cleanup.ts';
import { socketIoCommand } from '../competitors.ts';
import type { Figures } from '../figures.ts';
import type { AppProcedures, SendingMethod, SentMessages } from '../load/app-process.ts';
import { createMessage } from '../load/message.ts';
import type { Counts } from '../scenarios.ts';
import { type ServerSetup, startLoadGenerator, type Testbed, withTestbed } from '../testbed.ts';
import { bifrostSetup, type TrialVariant, trial } from './trial.ts';

/** Sends a message to each user from `user:0` on, and resolves when all are answered. */
type SendToUsers = (users: number) => Promise<SentMessages>;

/** Adds subscribers until each user has one, and sends a message to each user. */
async function measureSending(
  { callSubscribers, ports, protocol, readUsage }: Testbed,
  sendToUsers: SendToUsers,
  { users, connected }: { readonly users: number; readonly connected: number },
): Promise<Figures> {
  await callSubscribers('connect', { ports, protocol, count: users - connected });
  await callSubscribers('expect', 1);
  const before = readUsage();
  const [sent, { completedAtNs }] = await Promise.all([
    sendToUsers(users),
    // Rejects when a message is lost.
    callSubscribers('untilDelivered', undefined),
  ]);
  const after = readUsage();
  // Rejects when one came twice.
  await callSubscribers('expect', 0);

  const endedAtNs = Math.max(sent.answeredAtNs, completedAtNs[0] ?? 0);
  const serverCpuSeconds = after.cpuSeconds - before.cpuSeconds;
  return {
    messagesPerSecond: users / ((endedAtNs - sent.startedAtNs) / 1e9),
    serverCpuUs: (serverCpuSeconds * 1e6) / users,
    programCpuUs: (sent.cpuSeconds * 1e6) / users,
    cpuUs: ((serverCpuSeconds + sent.cpuSeconds) * 1e6) / users,
  };
}

/** Counts are users. The first of them get a message before the measurement too. */
function measure(
  setup: ServerSetup,
  createSend: (testbed: Testbed) => SendToUsers,
  { warmUp, measured }: Counts,
): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    const send = createSend(testbed);
    await measureSending(testbed, send, { users: warmUp, connected: 0 });
    return measureSending(testbed, send, { users: measured, connected: warmUp });
  });
}

/** An app that sends its messages to Bifröst. */
function appVariant(name: string, title: string, method: SendingMethod): TrialVariant {
  return {
    name,
    title,
    async measure(counts) {
      const { child, call } = startLoadGenerator<AppProcedures>('app-process');
      try {
        return await measure(
          bifrostSetup(title),
          ({ ports: [port = 0] }) =>
            (users) =>
              call('send', { port, users, method }),
          counts,
        );
      } finally {
        await endChild(child, 'SIGKILL');
      }
    },
  };
}

/** An app that is the websocket server itself. */
const socketIo: TrialVariant = {
  name: 'socket.io',
  title: 'Socket.IO `emit` in process',
  measure: (counts) =>
    measure(
      { title: 'Socket.IO', protocol: 'socketIo', command: socketIoCommand() },
      ({ ports }) =>
        async (users) => {
          const startedAtNs = Number(process.hrtime.bigint());
          const response = await fetch(`http://127.0.0.1:${ports[0]}/emit-to-users`, {
            method: 'POST',
            body: JSON.stringify({ users, message: createMessage(0, 'small') }),
          });
          if (!response.ok) throw new Error(`Socket.IO answered ${response.status}`);
          const answeredAtNs = Number(process.hrtime.bigint());
          // All of the program's work is the server's.
          return { startedAtNs, answeredAtNs, cpuSeconds: 0 };
        },
      counts,
    ),
};

const ONE_BY_ONE = 'one-by-one';
const SIXTY_FOUR = '64-at-once';

/** A program that has a message for each of many users. */
export const publisherTrial = trial('publisher', 'a program sends each user a message', {
  full: { warmUp: 1_000, measured: 10_000 },
  quick: { warmUp: 100, measured: 400 },
  maxConnections: ({ measured }) => measured,
  variants: [
    appVariant('publisher', 'the publisher', { kind: 'publisher' }),
    appVariant(ONE_BY_ONE, '`fetch` one by one', { kind: 'fetch', inFlight: 1 }),
    appVariant(SIXTY_FOUR, '`fetch` 64 at once', { kind: 'fetch', inFlight: 64 }),
    socketIo,
  ],
  rows: [
    { title: 'messages/s', figure: 'messagesPerSecond', baseline: ONE_BY_ONE, min: 10 },
    { title: 'messages/s', figure: 'messagesPerSecond', baseline: SIXTY_FOUR, min: 4 },
    { title: 'messages/s', figure: 'messagesPerSecond', baseline: socketIo.name },
    { title: 'µs of CPU of the server per message', figure: 'serverCpuUs', baseline: ONE_BY_ONE },
    { title: 'µs of CPU of the program per message', figure: 'programCpuUs', baseline: ONE_BY_ONE },
    { title: 'µs of CPU of both per message', figure: 'cpuUs', baseline: SIXTY_FOUR },
    { title: 'µs of CPU of both per message', figure: 'cpuUs', baseline: socketIo.name },
  ],
  note: 'each user is on a channel of their own, and every one of them got their message once: a run in which one is lost or doubled fails.',
});
