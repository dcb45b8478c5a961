import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectClient, type TestClient } from '../support/client.ts';
import { type ProgramOptions, startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

/** The program with this history file, listening. */
async function start(
  file: string,
  env: Readonly<Record<string, string>> = {},
  options?: ProgramOptions,
) {
  const program = startProgram(
    dirname(file),
    { JWT_SECRET: SECRET, HISTORY_FILE: file, ...env },
    options,
  );
  const port = await program.listening();
  if (env['WEB_CONCURRENCY'] === '2') await program.prints(/(?:broker available[\s\S]*){2}/);
  return {
    program,
    /** The data of the confirmation that a client gets that has come to this position, and the client. */
    async subscribe(since: string | null) {
      const client = await connectClient(`ws://127.0.0.1:${port}/subscribe`);
      client.send({ event: 'authenticate', data: sign({ channels: ['a'] }), since });
      const { data } = (await client.next()) as { data: string };
      return { client, ...(JSON.parse(data) as Confirmation) };
    },
    async broadcast(...messages: unknown[]) {
      for (const message of messages) {
        const body = JSON.stringify({ token: sign({ channel: 'a', message }) });
        const response = await fetch(`http://127.0.0.1:${port}/broadcast`, {
          method: 'POST',
          body,
        });
        expect(await response.json()).toMatchObject({ message: 'Success' });
      }
    },
    async stop() {
      program.child.kill('SIGTERM');
      expect(await program.ended).toEqual({ code: 0, signal: null });
    },
    async crash() {
      program.child.kill('SIGKILL');
      await program.ended;
    },
  };
}

interface Confirmation {
  readonly recovered?: boolean;
  readonly missed?: number;
  readonly position: string;
}

async function historyPath(): Promise<string> {
  return join(await temporaryFolder(), 'history');
}

async function nextMessages(client: TestClient, count: number): Promise<unknown[]> {
  const messages = [];
  for (let n = 0; n < count; n += 1) {
    messages.push(((await client.next()) as { data: unknown }).data);
  }
  return messages;
}

describe.each(['1', '2'])('HISTORY_FILE with WEB_CONCURRENCY=%s', (processes) => {
  const env = { WEB_CONCURRENCY: processes };

  it('gives a client all that it missed before an orderly restart and after it', async () => {
    const file = await historyPath();
    const before = await start(file, env);
    const { client, position } = await before.subscribe(null);
    client.socket.terminate();
    await before.broadcast({ n: 1 }, { n: 2 });
    await before.stop();
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const after = await start(file, env);
    await after.broadcast({ n: 3 });
    const back = await after.subscribe(position);
    expect(back).toMatchObject({ recovered: true, missed: 3, position });
    expect(await nextMessages(back.client, 3)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(await readdir(dirname(file))).toEqual(['history']);
  });

  it('promises nothing after a crash, however old the position and however often', async () => {
    const file = await historyPath();
    const first = await start(file, env);
    const { position } = await first.subscribe(null);
    await first.broadcast({ n: 1 });
    await first.stop();
    const crashed = await start(file, env);
    await crashed.broadcast({ n: 2 });
    await crashed.crash();

    for (let n = 0; n < 2; n += 1) {
      const next = await start(file, env);
      expect(await next.subscribe(position)).toMatchObject({ recovered: false });
      expect(next.program.output).toMatch(/no history to restore/);
      await next.crash();
    }
  });

  it('survives a start that fails because the port is taken', async () => {
    const file = await historyPath();
    const before = await start(file, env);
    const { position } = await before.subscribe(null);
    const port = await before.program.listening();
    const taken = { JWT_SECRET: SECRET, HISTORY_FILE: file, PORT: String(port), ...env };

    // The running process keeps its mark …
    const mark = await readFile(file, 'utf8');
    expect(await startProgram(dirname(file), taken).ended).toMatchObject({ code: 1 });
    expect(await readFile(file, 'utf8')).toBe(mark);
    await before.broadcast({ n: 1 });
    await before.stop();

    // … and the saved history is kept as it is.
    const other = createServer().listen(port, '127.0.0.1');
    onTestFinished(() => {
      other.close();
    });
    await once(other, 'listening');
    const history = await readFile(file);
    const failed = startProgram(dirname(file), taken);
    expect(await failed.ended).toMatchObject({ code: 1 });
    expect(failed.output).toMatch(/history restored[\s\S]*Cannot listen/);
    expect(await readFile(file)).toEqual(history);

    const after = await start(file, env);
    expect(await after.subscribe(position)).toMatchObject({ recovered: true, missed: 1 });
  });
});

describe('HISTORY_FILE', () => {
  it('gives a client that was told to leave what was broadcast during the drain', async () => {
    const file = await historyPath();
    const before = await start(file, { DRAIN_SECONDS: '25' });
    const clients = [await before.subscribe(null), await before.subscribe(null)];
    before.program.child.kill('SIGTERM');
    // One of the two at once; the drain goes on for as long as the other is there.
    const left = await Promise.race(
      clients.map(async (each) => {
        await each.client.closed;
        return each;
      }),
    );
    await before.broadcast({ n: 1 });
    for (const { client } of clients) client.socket.terminate();
    expect(await before.program.ended).toEqual({ code: 0, signal: null });

    const after = await start(file);
    const back = await after.subscribe(left.position);
    expect(back).toMatchObject({ recovered: true, missed: 1 });
    expect(await nextMessages(back.client, 1)).toEqual([{ n: 1 }]);
  });

  it('belongs to the newer one of two processes that overlap in a rolling restart', async () => {
    const file = await historyPath();
    const old = await start(file);
    const { position } = await old.subscribe(null);
    const next = await start(file);
    // Nothing is known of what the old one goes on to broadcast.
    const moved = await next.subscribe(position);
    expect(moved).toMatchObject({ recovered: false });
    await old.broadcast({ n: 1 });
    await old.stop();
    expect(old.program.output).toMatch(/history not saved: another process has claimed the file/);
    await next.broadcast({ n: 2 });
    await next.stop();

    const last = await start(file);
    expect(await last.subscribe(position)).toMatchObject({ recovered: false });
    const back = await last.subscribe(moved.position);
    expect(back).toMatchObject({ recovered: true, missed: 1 });
    expect(await nextMessages(back.client, 1)).toEqual([{ n: 2 }]);
    expect(await readdir(dirname(file))).toEqual(['history']);
  });

  it('is not gone on with by two processes that start at the same time', async () => {
    const file = await historyPath();
    const before = await start(file);
    const { position } = await before.subscribe(null);
    await before.broadcast({ n: 1 });
    await before.stop();

    const both = await Promise.all([start(file), start(file)]);
    const answers = await Promise.all(both.map((each) => each.subscribe(position)));
    expect(answers.filter(({ recovered }) => recovered).length).toBeLessThanOrEqual(1);
  });

  it('that is damaged is renamed, and the start goes on', async () => {
    const file = await historyPath();
    const before = await start(file);
    const { position } = await before.subscribe(null);
    await before.broadcast({ n: 1 });
    await before.stop();
    const bytes = await readFile(file);
    bytes[bytes.length - 40] = 0;
    await writeFile(file, bytes);

    const after = await start(file);
    expect(after.program.output).toMatch(/history file cannot be used/);
    expect(readFileSync(`${file}.unusable`)).toEqual(bytes);
    expect(await after.subscribe(position)).toMatchObject({ recovered: false });
    await after.stop();
    expect(after.program.output).toMatch(/history saved/);
  });

  it('is not saved where there is no room, and the exit goes on', async () => {
    const file = await historyPath();
    // A write beyond 8 KiB fails, as on a full disk.
    const launcher = ['sh', '-c', 'ulimit -f 16 && exec "$0" "$@"'];
    const before = await start(file, {}, { launcher });
    const { position } = await before.subscribe(null);
    await before.broadcast({ text: 'x'.repeat(10_000) });
    await before.stop();
    expect(before.program.output).toMatch(/EFBIG[\s\S]*history could not be saved/);
    expect(await readdir(dirname(file))).toEqual(['history']);

    const after = await start(file);
    expect(await after.subscribe(position)).toMatchObject({ recovered: false });
  });

  it('in a folder that is not there is reported, and neither start nor exit fails', async () => {
    const server = await start(join(await temporaryFolder(), 'history'), {
      HISTORY_FILE: '/proc/no-such-folder/history',
    });
    expect(server.program.output).toMatch(/HISTORY_FILE cannot be written/);
    await server.broadcast({ n: 1 });
    await server.stop();
  });
});
