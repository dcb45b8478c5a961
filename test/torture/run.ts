// `npm run torture`: attacks a real server from other processes while honest subscribers count what they receive.
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { FULL_DEVICE_LAUNCHER, FullDisk } from '../support/full-disk.ts';
import { Arena } from './arena.ts';
import { attacks, SLOW_HTTP } from './attacks.ts';
import { drain, restart } from './endings.ts';
import { tortureNodes } from './nodes.ts';
import { count, markdown } from './report.ts';
import { ServerProcess } from './server-process.ts';
import { descriptorShortage, hungWorker } from './workers.ts';

const ENDINGS = {
  restart,
  drain,
  'descriptor shortage': descriptorShortage,
  'hung worker': hungWorker,
};

const HELP = `npm run torture -- [options]   (Linux)

  --quick          a twentieth of everything, in less than a minute
  --attack NAME    only this attack, repeatable; without the totals, and without the endings unless named
  --seed N         the same random numbers again
  --full-disk      the servers write their logs to a file system that is full, or where none can be mounted, to /dev/full
  --nodes N        instead: N servers on one Redis, which are all killed again and again while 3,000 sockets count and
                   another program publishes garbage on their channels
  --help

Attacks: ${[...Object.keys(attacks), ...Object.keys(ENDINGS)].join(', ')}

Memory: heap and RSS after a forced collection at the end of round two are at most 10 % above those at the end of
round one. With --quick, up to 16 MiB more heap and 32 MiB more RSS pass as noise.`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    attack: { type: 'string', multiple: true, default: [] },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    'full-disk': { type: 'boolean', default: false },
    nodes: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const FULL_RUN = { inputs: 1_000_000, distinctMessages: 100_000, handshakes: 50_000 };

async function torture(): Promise<boolean> {
  const chosen = (name: string) => values.attack.length === 0 || values.attack.includes(name);
  const seed = Number(values.seed);
  console.log(`seed ${seed}`);
  if (values['full-disk']) writeLogsToFullDisk();
  const arena = await Arena.open({ quick: values.quick, seed });

  try {
    for (const round of [1, 2]) {
      await arena.round(round, Object.keys(attacks).filter(chosen), SLOW_HTTP);
    }
    arena.compareRounds();
    await arena.close();
    // The other attacks alone may leave less than what is allowed to wait.
    if (values['full-disk'] && chosen('churn')) {
      const dropped = await arena.server.droppedLines();
      arena.verdict(dropped > 0, `${count(dropped)} lines of the log could not be written`);
    }
    for (const [name, ending] of Object.entries(ENDINGS)) if (chosen(name)) await ending(arena);
  } catch (error) {
    // A server that has ended, most likely; what it wrote is in the message.
    arena.verdict(false, String(error));
  }

  const { totals } = arena;
  console.log(`\n${markdown(arena.lines)}\n`);
  console.log(`hostile inputs ${count(totals.inputs)}`);
  console.log(`distinct messages ${count(totals.distinctMessages)}`);
  console.log(`handshakes ${count(totals.handshakes)}`);
  console.log(
    `honest: ${count(totals.published)} broadcasts, ${count(totals.deliveries)} deliveries, ` +
      `${totals.lost} lost, ${totals.doubled} doubled, ${totals.reordered} reordered`,
  );
  if (!values.quick && values.attack.length === 0) {
    for (const name of ['inputs', 'distinctMessages', 'handshakes'] as const) {
      arena.verdict(totals[name] >= FULL_RUN[name], `at least ${count(FULL_RUN[name])} ${name}`);
    }
  }
  console.log(`\n${arena.passed} passed, ${arena.failed} failed`);
  return arena.failed === 0;
}

function writeLogsToFullDisk(): void {
  const manyLines = ['env', 'LOG_LEVEL=debug'];
  if (!FullDisk.isPossible) {
    console.log('logs on /dev/full');
    ServerProcess.launcher = [...manyLines, ...FULL_DEVICE_LAUNCHER];
    return;
  }
  console.log('logs on a full file system');
  const disk = new FullDisk();
  process.once('exit', () => disk.close());
  ServerProcess.launcher = [...manyLines, ...disk.launcher];
}

async function tortureMany(nodes: string): Promise<boolean> {
  const { passed, failed } = await tortureNodes({
    nodes: Number(nodes),
    quick: values.quick,
    seed: Number(values.seed),
  });
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0;
}

const unknown = values.attack.filter((name) => !(name in attacks || name in ENDINGS));

if (values.help) {
  console.log(HELP);
} else if (unknown.length > 0 || !/^\d+$/.test(values.seed + (values.nodes ?? ''))) {
  console.error(`Unknown attack or seed that is no number: ${unknown.join(', ')} ${values.seed}`);
  process.exitCode = 1;
} else {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  const built = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  if (built.status !== 0) throw new Error('The server cannot be built');
  const isOk = values.nodes === undefined ? await torture() : await tortureMany(values.nodes);
  // The helpers would otherwise wait for questions for ever.
  process.exit(isOk ? 0 : 1);
}
