import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Link } from '../support/link.ts';
import { sampleFolder, startNode } from '../support/process.ts';
import { Program, temporaryFolder } from '../support/program.ts';
import { RECOVERY_PAGE, snippet } from '../support/snippets.ts';
import { SECRET, sign } from '../support/tokens.ts';

const MAIN = resolve('dist/main.js');

interface Client {
  readonly name: string;
  readonly command: string;
  readonly language: string;
  /** How step 1 of the README is saved. */
  readonly token: string;
  /** What the page leaves to the reader. It prints what it is called with. */
  readonly app: { readonly file: string; readonly text: string };
}

const CLIENTS: readonly Client[] = [
  {
    name: 'Ruby',
    command: 'ruby',
    language: 'ruby',
    token: 'bifrost.rb',
    app: {
      file: 'app.rb',
      text: `$stdout.sync = true
def receive(channel, message) = puts("#{channel} #{message['n']}")
def load_state(channel) = puts("load #{channel}")
`,
    },
  },
  {
    name: 'Python',
    // Debian's packages are those of Debian's Python; another one may come first on the PATH.
    command: '/usr/bin/python3',
    language: 'python',
    token: 'bifrost.py',
    app: {
      file: 'app.py',
      text: `def receive(channel, message): print(channel, message["n"], flush=True)
def load_state(channel): print("load", channel, flush=True)
`,
    },
  },
];

describe.each(CLIENTS)('the $name client of docs/recovery.md', (client) => {
  const startStage = async (serverEnv: Readonly<Record<string, string>> = {}) => {
    const env = { JWT_SECRET: SECRET, HOST: '127.0.0.1', PORT: '0', ...serverEnv };
    // In a folder of its own, so that a developer's .env does not count.
    const port = await startNode([MAIN], await temporaryFolder(), env);
    const link = await Link.to(port);
    return { port, link, program: await start(client, link.port) };
  };

  it('receives what it missed, each once and in order', async () => {
    const { port, link, program } = await startStage();
    await program.prints(/load news\n/);
    await broadcast(port, 'user:1', 1);
    await program.prints(/user:1 1\n/);
    for (const first of [2, 6]) {
      link.cut();
      await broadcast(port, 'user:1', first);
      await broadcast(port, 'news', first + 1);
      await broadcast(port, 'user:1', first + 2);
      link.mend();
      await program.prints(new RegExp(`user:1 ${first + 2}\n`));
      await broadcast(port, 'news', first + 3);
      await program.prints(new RegExp(`news ${first + 3}\n`));
    }
    const round = (first: number) =>
      `user:1 ${first}\nnews ${first + 1}\nuser:1 ${first + 2}\nnews ${first + 3}\n`;
    expect(program.output).toBe(`load user:1\nload news\nuser:1 1\n${round(2)}${round(6)}`);
  });

  it('loads the state of the channel on which more was missed than is kept', async () => {
    const { port, link, program } = await startStage({ HISTORY_MESSAGES: '1' });
    await program.prints(/load news\n/);
    link.cut();
    await broadcast(port, 'user:1', 1);
    await broadcast(port, 'user:1', 2);
    await broadcast(port, 'news', 3);
    link.mend();
    await program.prints(/news 3\n/);
    await broadcast(port, 'user:1', 4);
    await program.prints(/user:1 4\n/);
    expect(program.output).toBe('load user:1\nload news\nload user:1\nnews 3\nuser:1 4\n');
  });

  it('ends after a close code that says that it should stay away', async () => {
    const { program } = await startStage({ MAX_CHANNELS_PER_CONNECTION: '1' });
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.output).toBe('');
  });
});

/** The sample as a program that stays until the test ends. */
async function start(
  { name, command, language, token, app }: Client,
  port: number,
): Promise<Program> {
  const cwd = await sampleFolder({
    [token]: snippet('1. Hand out tokens', language),
    [app.file]: app.text,
    client: snippet(`A client in ${name}`, language, RECOVERY_PAGE),
  });
  const child = spawn(command, ['client'], {
    cwd,
    env: { ...process.env, JWT_SECRET: SECRET, BIFROST_URL: `http://127.0.0.1:${port}` },
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return new Program(child);
}

async function broadcast(port: number, channel: string, n: number): Promise<void> {
  const token = sign({ channel, message: { n } });
  const { status } = await fetch(`http://127.0.0.1:${port}/broadcast`, {
    method: 'POST',
    body: JSON.stringify({ token }),
  });
  expect(status).toBe(200);
}
