import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { ServerProcess } from '../test/support/server-process.ts';
import { Asker } from './asker.ts';
import { createAudience } from './audience.ts';
import { waitedSecondsOf } from './cpu.ts';
import { type Figures, quantile } from './figures.ts';
import { bifrost } from './peers.ts';
import type { Counts } from './scenarios.ts';
import { onStage } from './stage.ts';
import { bifrostSetup, type Trial } from './trial.ts';

const SUBSCRIBERS = 10_000;
const PACE = { inFlight: 4 };
const ASK_EVERY_MS = 50;

/** What `loop-delay.js` tells. */
interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** How late the event loop of a server with `loop-delay.js` has been since this was asked last. */
async function takeLoopDelay({ child }: ServerProcess): Promise<LoopDelay> {
  const told = once(child.stderr as Readable, 'data');
  child.kill('SIGUSR2');
  const [line] = await told;
  return JSON.parse(String(line)) as LoopDelay;
}

const command = bifrost('--import', import.meta.resolve('./loop-delay.js'));

function measure({ warmUp, measured }: Counts): Promise<Figures> {
  return onStage(bifrostSetup('A live event loop', { command }), async (stage) => {
    const [server] = stage.servers as [ServerProcess];
    const audience = await createAudience(stage, { broadcasts: warmUp + measured });
    await audience.join(SUBSCRIBERS);
    await audience.broadcast(warmUp, PACE);

    await takeLoopDelay(server);
    const waitedBefore = waitedSecondsOf(server.pid);
    const start = performance.now();
    const asker = new Asker(`http://127.0.0.1:${stage.ports[0]}/info.json`, ASK_EVERY_MS);
    const figures = await audience.broadcast(measured, PACE);
    const answersMs = await asker.stop();
    const delay = await takeLoopDelay(server);
    const seconds = (performance.now() - start) / 1_000;

    return {
      ...figures,
      delayP50Ms: delay.p50Ms,
      delayP99Ms: delay.p99Ms,
      delayMaxMs: delay.maxMs,
      withoutCorePercent: ((waitedSecondsOf(server.pid) - waitedBefore) / seconds) * 100,
      answers: answersMs.length,
      answerP50Ms: quantile(answersMs, 0.5),
      answerP99Ms: quantile(answersMs, 0.99),
    };
  });
}

/** While many are served, nobody else has to wait for long. */
export const loopTrial: Trial = {
  kind: 'trial',
  name: 'loop',
  title: '1 → 10,000, 4 in flight',
  full: { warmUp: 40, measured: 200 },
  quick: { warmUp: 10, measured: 40 },
  connections: () => SUBSCRIBERS,
  entrants: [{ name: 'bifrost', title: 'Bifröst', measure }],
  lines: [
    { title: 'event loop delay p99, ms', figure: 'delayP99Ms', atMost: 25 },
    { title: 'event loop delay max, ms', figure: 'delayMaxMs' },
    { title: 'event loop delay p50, ms', figure: 'delayP50Ms' },
    { title: '`GET /info.json` answered p99, ms', figure: 'answerP99Ms' },
    { title: 'deliveries/s', figure: 'deliveriesPerSecond' },
    { title: 'time without a core, %', figure: 'withoutCorePercent' },
  ],
  note: 'while other processes of the machine have the core of the server, the delay is theirs.',
};
