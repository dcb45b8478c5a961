import { describe, expect, it } from 'vitest';
import { FullDisk } from '../support/full-disk.ts';
import { openFullDevice, Pipe } from '../support/outputs.ts';
import { CTRL_S, press, TERMINAL } from '../support/terminal.ts';
import {
  droppedLines,
  type Env,
  type Running,
  SOON_MS,
  start,
  startOnFullDisk,
  stop,
  TOO_MANY,
  write,
} from './logging-program.ts';

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
      press(running.program, CTRL_S);
      return { ...running, pid };
    },
  ],
]);
if (FullDisk.isPossible) OUTPUTS.set('a full disk', startOnFullDisk);

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
