import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HistoryFile } from '../../../../src/broker/history-file/history-file.ts';
import { OwnedFile } from '../../../../src/broker/history-file/owned-file.ts';
import { MemoryHistory } from '../../../../src/broker/history-memory.ts';
import type { Channel } from '../../../../src/protocol/channel.ts';
import { parsePosition } from '../../../../src/protocol/position.ts';
import { recordingLog } from '../../../support/log.ts';
import { temporaryFolder } from '../../../support/program.ts';

const SECOND = 1_000_000;
const START = 1_792_600_000 * SECOND;
const OPTIONS = { historyMessages: 3, historyMs: 10_000, historyBytes: 8 * 2 ** 20 };
const CHANNELS = ['a', 'b', 'c', 'ключ 🌈'] as Channel[];

/** A process with a history in the file: it has read what it found there, and has not claimed it yet. */
async function start(path: string, { time = START, options = OPTIONS } = {}) {
  const clock = { time };
  const { log, lines } = recordingLog('info');
  const history = new MemoryHistory(options, () => clock.time);
  const file = new HistoryFile(path, history, log);
  await file.restore();
  return {
    file,
    history,
    clock,
    lines,
    add: (channel: Channel, message = '{}', isKept = true) =>
      history.add({ channel, message, isKept }),
    recover: (since: string) =>
      history.recover({ channels: CHANNELS, since, maxMessages: 1_000, maxBytes: 2 ** 30 }),
  };
}

type Process = Awaited<ReturnType<typeof start>>;

/** One that has claimed the file. */
async function run(path: string, options?: Parameters<typeof start>[1]): Promise<Process> {
  const process = await start(path, options);
  process.file.claim();
  return process;
}

async function historyPath(): Promise<string> {
  return join(await temporaryFolder(), 'history');
}

function epochOf({ history }: Process): string | undefined {
  return parsePosition(history.position())?.epoch;
}

/** A folder with a saved history of a few messages, and the position before them. */
async function saved(path: string): Promise<string> {
  const process = await run(path);
  const since = process.history.position();
  for (const channel of CHANNELS) process.add(channel, `{"in":${JSON.stringify(channel)}}`);
  await process.file.save();
  return since;
}

describe('HISTORY_FILE', () => {
  it('makes a history answer after a restart what it would have answered before', async () => {
    const step = fc.record({
      channel: fc.nat(CHANNELS.length - 1),
      // Some are more than a quarter of all that may be kept, which leaves a gap.
      length: fc.constantFrom(2, 300, 300, 300, 1_900),
      isKept: fc.constantFrom(true, true, true, false),
      pass: fc.constantFrom(0, 1, SECOND, 5 * SECOND),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const path = await historyPath();
        const options = { ...OPTIONS, historyBytes: 6_000 };
        const before = await run(path, { options });
        const positions = [before.history.position()];
        for (const { channel, length, isKept, pass } of steps) {
          before.clock.time += pass;
          positions.push(
            before.add(CHANNELS[channel] ?? ('' as Channel), 'ü'.repeat(length), isKept),
          );
        }
        // A clock that is not behind the last position.
        before.clock.time += 100;
        await before.file.save();

        const { time } = before.clock;
        const after = await run(path, { options, time });
        for (const since of positions) {
          const { position, ...answer } = after.recover(since);
          const { position: _, ...expected } = before.recover(since);
          expect(answer).toEqual(expected);
        }
        expect(after.history.entries).toBe(before.history.entries);
        expect(after.history.bytes).toBe(before.history.bytes);
        expect(after.history.channels).toBe(before.history.channels);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps messages that are larger than what is read at a time', async () => {
    const path = await historyPath();
    const before = await run(path, { options: { ...OPTIONS, historyBytes: 2 ** 26 } });
    const since = before.history.position();
    const messages = [1, 3_000_000, 2, 2_500_000].map((length) => 'ю'.repeat(length));
    for (const [index, message] of messages.entries()) {
      before.add(CHANNELS[index % 2] ?? ('' as Channel), message);
    }
    await before.file.save();
    const after = await run(path, { options: { ...OPTIONS, historyBytes: 2 ** 26 } });
    const { publications } = after.recover(since);
    expect(publications.map(({ message }) => message === messages.shift())).toEqual(
      Array.from({ length: 4 }, () => true),
    );
  });

  it('is written with mode 600, the mark as well', async () => {
    const path = await historyPath();
    const process = await run(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await process.file.save();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is not changed before it is claimed: a start that fails changes nothing', async () => {
    const path = await historyPath();
    const since = await saved(path);
    const bytes = readFileSync(path);
    const failed = await start(path);
    await failed.file.save();
    expect(readFileSync(path)).toEqual(bytes);
    expect((await run(path)).recover(since).publications).toHaveLength(4);
  });

  it('holds no history while a process runs, so that none is restored after a crash', async () => {
    const path = await historyPath();
    const since = await saved(path);
    const crashed = await run(path);
    crashed.add(CHANNELS[0] ?? ('' as Channel));
    expect(statSync(path).size).toBeLessThan(200);

    const next = await run(path);
    expect(next.recover(since).verdicts).toEqual(CHANNELS.map(() => 'epoch'));
    expect(next.lines).toMatchObject([{ level: 40, msg: expect.stringMatching(/was killed/) }]);
  });

  it('is saved by no other than the process whose mark it holds', async () => {
    const path = await historyPath();
    const old = await run(path);
    const next = await run(path);
    const mark = readFileSync(path, 'utf8');
    await old.file.save();
    expect(readFileSync(path, 'utf8')).toBe(mark);
    expect(old.lines).toMatchObject([
      { level: 40, msg: 'history not saved: another process has claimed the file' },
    ]);

    await next.file.save();
    expect(epochOf(await run(path))).toBe(epochOf(next));
  });

  it('is not saved over what another process claims while it is written', async () => {
    const path = await historyPath();
    const owned = new OwnedFile(path, 'old', 'mark of the old one');
    owned.claim(() => {});
    const isReplaced = await owned.replaceMark(async (handle) => {
      await handle.writeFile('history');
      new OwnedFile(path, 'new', 'mark of the new one').claim(() => {});
    });
    expect(isReplaced).toBe(false);
    expect(readFileSync(path, 'utf8')).toBe('mark of the new one');
    expect(readdirSync(join(path, '..'))).toEqual(['history']);
  });

  it('is not written for nothing when another process has claimed it', async () => {
    const path = await historyPath();
    const owned = new OwnedFile(path, 'old', 'mark of the old one');
    owned.claim(() => {});
    new OwnedFile(path, 'new', 'mark of the new one').claim(() => {});
    let isWritten = false;
    const isReplaced = await owned.replaceMark(async () => {
      isWritten = true;
    });
    expect([isReplaced, isWritten]).toEqual([false, false]);
  });

  it('is never replaced unseen by a process that claims it', async () => {
    const path = await historyPath();
    writeFileSync(path, 'history');
    const seen: string[] = [];
    new OwnedFile(path, 'first', 'mark of the first').claim((moved) => {
      seen.push(readFileSync(moved, 'utf8'));
      if (seen.length === 1) new OwnedFile(path, 'second', 'mark of the second').claim(() => {});
    });
    expect(seen).toEqual(['history', 'mark of the second']);
    expect(readFileSync(path, 'utf8')).toBe('mark of the first');
    expect(readdirSync(join(path, '..'))).toEqual(['history']);
  });

  it('is gone on with by one process only, of several that have read it', async () => {
    const path = await historyPath();
    const since = await saved(path);
    const [first, second] = [await start(path), await start(path)];
    const epochs = [epochOf(first), epochOf(second)];
    expect(epochs[0]).toBe(epochs[1]);
    first.file.claim();
    second.file.claim();
    expect(epochOf(first)).toBe(epochs[0]);
    expect(epochOf(second)).not.toBe(epochs[0]);
    expect(first.recover(since).publications).toHaveLength(4);
    expect(second.recover(since).verdicts).toEqual(CHANNELS.map(() => 'epoch'));
    expect(second.lines.at(-1)).toMatchObject({ level: 40, msg: expect.stringMatching(/dropped/) });
  });

  it('is not gone on with when it cannot be claimed', async () => {
    const path = await historyPath();
    const since = await saved(path);
    const process = await start(path);
    renameSync(join(path, '..'), join(await temporaryFolder(), 'elsewhere'));
    process.file.claim();
    expect(process.recover(since).verdicts).toEqual(CHANNELS.map(() => 'epoch'));
    expect(process.lines).toMatchObject([
      { msg: 'history restored' },
      { level: 50, msg: expect.stringMatching(/cannot be written/) },
      { level: 40, msg: expect.stringMatching(/dropped/) },
    ]);
    await process.file.save();
    expect(process.lines).toHaveLength(3);
  });
});

describe('a restored history', () => {
  it('keeps the age of its messages', async () => {
    const path = await historyPath();
    const since = await saved(path);
    const after = await run(path, { time: START + 6 * SECOND });
    expect(after.recover(since).publications).toHaveLength(4);
    after.clock.time += 4 * SECOND + 10;
    expect(after.recover(since).verdicts).toEqual(CHANNELS.map(() => 'age'));
    expect(after.history.entries).toBe(0);
  });

  it('goes on at the last position + 1 when the clock is behind, and ages from there', async () => {
    const path = await historyPath();
    const since = await saved(path);
    const { last } = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '');
    const after = await run(path, { time: START - 3_600 * SECOND });
    expect(parsePosition(after.add(CHANNELS[0] ?? ('' as Channel)))?.number).toBe(last + 1);
    after.clock.time += 9 * SECOND;
    expect(after.recover(since).publications).toHaveLength(5);
    after.clock.time += 2 * SECOND;
    expect(after.recover(since).verdicts).toEqual(CHANNELS.map(() => 'age'));
  });
});

describe('a history file that cannot be used', () => {
  /** What a process says that begins with such a file, and the names in the folder then. */
  async function begin(path: string, options?: Parameters<typeof start>[1]) {
    const process = await run(path, options);
    const names = readdirSync(join(path, '..')).sort();
    return { process, names, reason: process.lines[0]?.['reason'] };
  }

  async function expectUnusable(bytes: Buffer): Promise<void> {
    const path = await historyPath();
    writeFileSync(path, bytes);
    const { process, names } = await begin(path);
    expect(process.lines).toMatchObject([
      { level: 50, msg: 'history file cannot be used: clients cannot recover' },
      { level: 40, msg: 'history file renamed', renamedTo: `${path}.unusable` },
    ]);
    expect(names).toEqual(['history', 'history.unusable']);
    expect(readFileSync(`${path}.unusable`)).toEqual(bytes);
    expect([process.history.entries, process.history.channels]).toEqual([0, 0]);
    process.add(CHANNELS[0] ?? ('' as Channel));
    await process.file.save();
    expect(epochOf(await run(path))).toBe(epochOf(process));
  }

  it('is reported and renamed, and the start goes on, whichever byte is damaged', async () => {
    const path = await historyPath();
    await saved(path);
    const bytes = readFileSync(path);
    const damage = fc.record({ at: fc.nat(bytes.length - 1), bit: fc.nat(7) });
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, bit }) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        await expectUnusable(damaged);
      }),
      { numRuns: 60 },
    );
  });

  it('is one that ends too early or goes on too long', async () => {
    const path = await historyPath();
    await saved(path);
    const bytes = readFileSync(path);
    await expectUnusable(Buffer.concat([bytes, Buffer.alloc(1)]));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), (length) =>
        expectUnusable(bytes.subarray(0, length)),
      ),
      { numRuns: 30 },
    );
  });

  it.each([
    ['of another version', '{"format":"bifrost history 2","owner":"x"}\n'],
    ['of another program', 'root:x:0:0:root:/root:/bin/bash\n'],
    [
      'with an owner that leads out of the folder',
      '{"format":"bifrost history 1","owner":"/../../x"}\n',
    ],
    ['that is JSON', 'null\n'],
  ])('is one %s', async (_, text) => {
    await expectUnusable(Buffer.from(text));
  });

  it.each([
    { ...OPTIONS, historyMessages: 4 },
    { ...OPTIONS, historyMs: 11_000 },
    { ...OPTIONS, historyBytes: 2 ** 24 },
  ])('is one of other HISTORY_* values: %j', async (options) => {
    const path = await historyPath();
    await saved(path);
    const { reason, names } = await begin(path, { options });
    expect(reason).toBe('it was written with other HISTORY_* values');
    expect(names).toEqual(['history', 'history.unusable']);
  });

  it('takes no memory for a length that is damaged', async () => {
    const path = await historyPath();
    await saved(path);
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(0xff_ff_ff_00, bytes.indexOf('\n') + 1 + 4);
    writeFileSync(path, bytes);
    const before = process.memoryUsage().rss;
    const { reason } = await begin(path);
    expect(reason).toBe('it is damaged');
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 28);
  });

  it('is left alone when it is no file at all', async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, 'folder'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    for (const name of ['folder', 'pipe']) {
      const { process } = await begin(join(folder, name));
      expect(process.lines).toMatchObject([
        { level: 50, msg: 'HISTORY_FILE cannot be used: no history survives a restart' },
      ]);
      await process.file.save();
      expect(process.lines).toHaveLength(1);
    }
    expect(readdirSync(folder).sort()).toEqual(['folder', 'pipe']);
    expect(statSync(join(folder, 'pipe')).isFIFO()).toBe(true);
  });

  it('says why it cannot be written, and the start goes on', async () => {
    const path = join(await temporaryFolder(), 'missing', 'history');
    const process = await run(path);
    expect(process.lines).toMatchObject([
      { level: 50, msg: 'HISTORY_FILE cannot be written: no history survives a restart' },
    ]);
    await process.file.save();
    expect(process.lines).toHaveLength(1);
  });
});

describe('a history that cannot be written', () => {
  it('leaves the mark where it is, and nothing else', async () => {
    const path = await historyPath();
    const owned = new OwnedFile(path, 'owner', 'mark');
    owned.claim(() => {});
    const full = owned.replaceMark(async (handle) => {
      await handle.writeFile('half of it');
      throw new Error('no space left on device');
    });
    await expect(full).rejects.toThrow('no space left on device');
    expect(readFileSync(path, 'utf8')).toBe('mark');
    expect(readdirSync(join(path, '..'))).toEqual(['history']);
  });

  it('is cleared away by the next process when it was killed while it wrote', async () => {
    const path = await historyPath();
    const killed = await run(path);
    const { owner } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(`${path}.${owner}.tmp`, 'half of it');
    const next = await run(path);
    expect(readdirSync(join(path, '..'))).toEqual(['history']);
    expect(epochOf(next)).not.toBe(epochOf(killed));
  });
});
