import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { FullDisk } from '../support/full-disk.ts';
import { openFullDevice, Pipe } from '../support/outputs.ts';
import {
  type Program,
  type ProgramOptions,
  startProgram,
  temporaryFolder,
} from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

type Env = Readonly<Record<string, string>>;

interface Running {
  readonly program: Program;
  readonly url: string;
  /** The process that is told to stop. */
  readonly pid: number;
}

interface Line {
  readonly msg: string;
  readonly channel?: string;
  readonly dropped?: number;
}

/** A line of the log at debug is as long as the channel that it names. */
const LONG_CHANNEL = 'x'.repeat(60_000);
/** More than the system and a process keep of such lines. */
const TOO_MANY = 24;
/** The contract's second, threefold. */
const SOON_MS = 3_000;
const METRICS_TOKEN = 'sesame';
const CTRL_S = '\x13';
/** Gives the program a terminal of its own. */
const TERMINAL = ['sh', '-c', 'exec script -qefc "$*" /dev/null', 'sh'];
const DROPPED = 'log lines dropped: the output was full or closed';

/** The program on a known port, since nobody may be able to read which one it got; resolves when it serves. */
async function start(env: Env, options: ProgramOptions = {}): Promise<Running> {
  const port = await freePort();
  const settings = {
    JWT_SECRET: SECRET,
    PORT: String(port),
    NODE_ENV: 'production',
    LOG_LEVEL: 'debug',
    METRICS: 'true',
    METRICS_TOKEN,
    MAX_CHANNEL_LENGTH: '65536',
    ...env,
  };
  const program = startProgram(await temporaryFolder(), settings, options);
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (program.child.exitCode !== null) throw new Error(`it ended: ${program.output}`);
    const response = await fetch(`${url}/healthz`).catch(() => undefined);
    if (response?.status === 200) return { program, url, pid: program.child.pid ?? 0 };
  }
}

async function startOnFullDisk(env: Env): Promise<Running & { readonly disk: FullDisk }> {
  const disk = new FullDisk();
  onTestFinished(() => disk.close());
  return { ...(await start(env, { launcher: disk.launcher })), disk };
}

/** What takes nothing, or at some time takes nothing any more. */
const OUTPUTS = new Map<string, (env: Env) => Promise<Running>>([
  ['a full device', (env) => start(env, { stdout: openFullDevice() })],
  [
    'a pipe that nobody reads',
    async (env) => start(env, { stdout: (await Pipe.open()).fill().writeEnd }),
  ],
  [
    'a pipe whose reader has gone',
    async (env) => {
      const pipe = await Pipe.open();
      const running = await start(env, { stdout: pipe.writeEnd });
      pipe.closeReader();
      return running;
    },
  ],
  [
    'a socket that nobody reads',
    async (env) => {
      const running = await start(env);
      running.program.child.stdout?.pause();
      return running;
    },
  ],
  [
    'a socket whose reader has gone',
    async (env) => {
      const running = await start(env);
      running.program.child.stdout?.destroy();
      return running;
    },
  ],
  [
    'a terminal that is held with Ctrl-S',
    async (env) => {
      const running = await start(env, { stdin: 'pipe', launcher: TERMINAL });
      const pid = Number((await running.program.prints(/"pid":(\d+)/))[1]);
      running.program.child.stdin?.write(CTRL_S);
      return { ...running, pid };
    },
  ],
]);
if (FullDisk.isPossible) OUTPUTS.set('a full disk', startOnFullDisk);

async function broadcast(url: string, channel: string): Promise<void> {
  const body = JSON.stringify({ token: sign({ channel, message: {} }) });
  const response = await fetch(`${url}/broadcast`, { method: 'POST', body });
  expect(await response.json()).toEqual({ message: 'Success', deliveries: 0 });
}

async function droppedLines(url: string): Promise<number> {
  const headers = { Authorization: `Bearer ${METRICS_TOKEN}` };
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text();
  return Number(/^bifrost_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
}

/** Has it write `count` long lines. */
async function write({ url }: Running, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await broadcast(url, `${n} ${LONG_CHANNEL}`);
}

/** Sends SIGTERM; resolves to its exit code when it has ended, which must be soon. */
async function stop({ program, pid }: Running): Promise<number> {
  const begun = performance.now();
  process.kill(pid, 'SIGTERM');
  const [code] = await once(program.child, 'exit');
  expect(performance.now() - begun).toBeLessThan(SOON_MS);
  return code;
}

/** What each line is about: the number at the beginning of its channel, how many were dropped, or its message. */
function subjects(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { channel, dropped, msg } = JSON.parse(line) as Line;
      return channel?.split(' ')[0] ?? dropped ?? msg;
    });
}

/** `count` numbers from 0 as subjects. */
function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(n));
}

/** For `NODE_OPTIONS`: runs this code when the signal comes. */
function onSignal(signal: NodeJS.Signals, code: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(`process.on('${signal}',()=>{${code}})`)}`;
}

describe('a log that cannot be written', () => {
  it.each([...OUTPUTS])('does not matter, on %s', async (_name, startOn) => {
    const running = await startOn({});
    await write(running, TOO_MANY);
    expect(await droppedLines(running.url)).toBeGreaterThan(0);
    expect(await stop(running)).toBe(0);
    expect(running.program.stderr).toBe('');
  });

  it.each(['a full device', 'a pipe that nobody reads', 'a socket that nobody reads'])(
    'does not matter to two processes, on %s',
    async (name) => {
      const running = await OUTPUTS.get(name)?.({ WEB_CONCURRENCY: '2' });
      if (running === undefined) throw new Error(`no output is called ${name}`);
      await write(running, 2 * TOO_MANY);
      expect(await droppedLines(running.url)).toBeGreaterThan(0);
      expect(await stop(running)).toBe(0);
      expect(running.program.stderr).toBe('');
    },
  );

  it('does not keep workers alive whose primary was killed', async () => {
    const running = await start({ WEB_CONCURRENCY: '2' }, { stdout: openFullDevice() });
    const begun = performance.now();
    process.kill(running.pid, 'SIGKILL');
    // Resolves when the last process that could print has ended.
    await running.program.ended;
    expect(performance.now() - begun).toBeLessThan(SOON_MS);
  });
});

describe('the log', () => {
  it('continues when it is read again, and says how many lines were dropped', async () => {
    const pipe = await Pipe.open();
    const running = await start({}, { stdout: pipe.writeEnd });
    await write(running, TOO_MANY);
    const missing = await droppedLines(running.url);

    const reader = pipe.read();
    await reader.prints(DROPPED);
    await broadcast(running.url, 'last');
    expect(await stop(running)).toBe(0);
    await reader.ended;

    const kept = numbers(TOO_MANY - missing);
    expect(subjects(reader.text)).toEqual([
      expect.stringContaining('listens on'),
      ...kept,
      missing,
      'last',
      'draining',
      'closed',
    ]);
    // A mebibyte, and what a pipe takes.
    expect(kept.length * LONG_CHANNEL.length).toBeLessThan(2 ** 20 + 2 ** 16);
  });

  it.runIf(FullDisk.isPossible)('goes on when there is room on the disk again', async () => {
    const running = await startOnFullDisk({});
    await broadcast(running.url, 'first');
    await write(running, TOO_MANY);
    const missing = await droppedLines(running.url);
    expect(missing).toBeGreaterThan(0);
    const log = running.disk.pathOf('log', running.pid);
    expect(readFileSync(log, 'utf8')).toBe('');

    rmSync(running.disk.pathOf('filler', running.pid));
    // Asking paces the reading.
    while (!readFileSync(log, 'utf8').includes(DROPPED)) await droppedLines(running.url);
    await broadcast(running.url, 'last');
    while (!readFileSync(log, 'utf8').includes('"last"')) await droppedLines(running.url);
    const kept = numbers(TOO_MANY - missing);
    expect(subjects(readFileSync(log, 'utf8'))).toEqual([
      expect.stringContaining('listens on'),
      'first',
      ...kept,
      missing,
      'last',
    ]);
  });

  it('is written to its last line at the exit while it is read', async () => {
    const pipe = await Pipe.open();
    const running = await start({}, { stdout: pipe.writeEnd });
    await write(running, 10);
    const reader = pipe.read();
    expect(await stop(running)).toBe(0);
    await reader.ended;
    expect(subjects(reader.text).slice(-12)).toEqual([...numbers(10), 'draining', 'closed']);
  });

  it('has the lines from before a crash', async () => {
    const pipe = await Pipe.open();
    const running = await start(
      { NODE_OPTIONS: onSignal('SIGUSR2', "throw new Error('crashed on purpose')") },
      { stdout: pipe.writeEnd },
    );
    await write(running, 10);
    const reader = pipe.read();
    process.kill(running.pid, 'SIGUSR2');
    await reader.ended;
    expect(subjects(reader.text).slice(-10)).toEqual(numbers(10));
    expect((await running.program.ended).code).toBe(1);
    expect(running.program.stderr).toContain('Error: crashed on purpose');
  });

  it('has the warnings of Node', async () => {
    const { program, pid } = await start({
      NODE_OPTIONS: onSignal('SIGUSR2', "process.emitWarning('something is strange', 'Strange')"),
    });
    process.kill(pid, 'SIGUSR2');
    await program.prints(/"level":40,.*"name":"Strange","msg":"something is strange"/);
    expect(program.stderr).toBe('');
  });

  it('is coloured on a terminal outside production', async () => {
    const program = startProgram(
      await temporaryFolder(),
      { JWT_SECRET: SECRET, TERM: 'xterm' },
      { stdin: 'pipe', launcher: TERMINAL },
    );
    await program.prints(/listens on/);
    expect(program.output).toContain('\x1b[32mINFO\x1b[39m: \x1b[36mBifröst listens on');
  });
});

describe('an error at the start', () => {
  it('ends the program even if nobody reads it', async () => {
    const folder = await temporaryFolder();
    const pipe = (await Pipe.open()).fill();
    const unread = startProgram(folder, { PORT: 'x' }, { stderr: pipe.writeEnd });
    expect(await once(unread.child, 'exit')).toEqual([1, null]);
  });
});
