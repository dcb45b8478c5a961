import { checkAnswers } from '../check-answers.ts';
import { socketIoCommand, wsLoopCommand } from '../competitors.ts';
import type { Figures } from '../figures.ts';
import type { SessionKind } from '../load/sessions.ts';
import { checkRecovered, runReconnecting } from '../reconnecting-run.ts';
import { ReplaceableServer } from '../replaceable-server.ts';
import type { Counts } from '../scenarios.ts';
import type { ServerSetup } from '../testbed.ts';
import { bifrostSetup, type TrialVariant, trial } from './trial.ts';

const MESSAGES = 120;
const INTERVAL_MS = 1_000;
const MAX_AWAY_MS = 30_000;
const RETRY_MS = 1_000;

async function measure(
  setup: ServerSetup,
  session: SessionKind,
  { measured, speed = 1 }: Counts,
): Promise<Figures> {
  const server = await ReplaceableServer.start(setup);
  try {
    const { port } = server;
    await checkAnswers({ protocol: setup.protocol, port, postPort: port });
    const intervalMs = INTERVAL_MS / speed;
    const { [session]: figures } = await runReconnecting({
      clients: [[session, measured]],
      ports: [port],
      messages: MESSAGES,
      intervalMs,
      retryMs: RETRY_MS / speed,
      disturb: (callClients) =>
        callClients('playCuts', {
          durationMs: MESSAGES * intervalMs,
          maxAwayMs: MAX_AWAY_MS / speed,
        }),
    });
    if (session === 'positioned') checkRecovered(setup.title, figures);
    return figures;
  } finally {
    await server.kill();
  }
}

function variant(name: string, session: SessionKind, setup: ServerSetup): TrialVariant {
  return { name, title: setup.title, measure: (counts) => measure(setup, session, counts) };
}

const HISTORY_ENV = { HISTORY_MESSAGES: '200' };

function socketIoSetup(title: string, env: Readonly<Record<string, string>> = {}): ServerSetup {
  return { title, protocol: 'socketIo', command: socketIoCommand(), env };
}

const OTHERS = ['plain', 'socket.io-recovery', 'socket.io', 'ws'] as const;

/** Clients on a bad network: how much of what was said reaches them. */
export const jitterTrial = trial('jitter', 'connections cut at random, one broadcast a second', {
  fullSeconds: 140,
  full: { warmUp: 0, measured: 10_000 },
  quick: { warmUp: 0, measured: 500, speed: 10 },
  maxConnections: ({ measured }) => measured,
  isMeasuredOnce: true,
  mostlyWaits: true,
  variants: [
    variant('positioned', 'positioned', bifrostSetup('positioned clients', { env: HISTORY_ENV })),
    variant('plain', 'plain', bifrostSetup('plain clients of Bifröst', { env: HISTORY_ENV })),
    variant(
      'socket.io-recovery',
      'socketIo',
      socketIoSetup('Socket.IO with connection state recovery', { RECOVERY: 'true' }),
    ),
    variant('socket.io', 'socketIo', socketIoSetup('Socket.IO')),
    variant('ws', 'plain', {
      title: 'ws loop',
      protocol: 'bifrost',
      command: wsLoopCommand(),
    }),
  ],
  rows: [
    ...OTHERS.map((baseline) => ({ title: 'received, %', figure: 'receivedPercent', baseline })),
    ...(['doubled', 'disordered'] as const).map((figure) => ({
      title: figure === 'doubled' ? 'received twice' : 'received out of order',
      figure,
      baseline: 'socket.io-recovery',
      comparison: 'difference' as const,
    })),
    { title: 'cuts a client', figure: 'cutsPerClient' },
    { title: 'last broadcast late by ms', figure: 'lateMs' },
  ],
  note: 'the n-th client of each server is cut at the same moments, at any byte, and stays away for up to 30 s. A run in which a positioned client misses a message, or gets one twice or out of order, fails.',
});
