import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FullDisk } from '../support/full-disk.ts';
import { Pipe } from '../support/outputs.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { startOnTerminal } from '../support/terminal.ts';
import {
  broadcast,
  droppedLines,
  LONG_CHANNEL,
  start,
  startOnFullDisk,
  stop,
  TOO_MANY,
  write,
} from './logging-program.ts';

interface Line {
  readonly msg: string;
  readonly channel?: string;
  readonly dropped?: number;
}

const DROPPED = 'log lines dropped: the output was full or closed';

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
    const program = await startOnTerminal({ LOG_LEVEL: 'debug' });
    await program.prints(/Playground/);
    expect(program.output).toContain('\x1b[34mDEBUG\x1b[39m: \x1b[36mBifröst listens on');
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
