import { spawn } from 'node:child_process';
import { appendFile, cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { connectClient, type TestClient } from '../support/client.ts';
import { freePort } from '../support/free-port.ts';
import { Program, temporaryFolder } from '../support/program.ts';
import { CTRL_C, press, TERMINAL } from '../support/terminal.ts';
import { SECRET } from '../support/tokens.ts';

const CLIENTS = 100;
const GREETING = /Playground +(http\S+\/test)\r\n/g;
const CLEAR_SCREEN = '\x1bc';

/** A copy of this project, so that its sources can be changed. */
async function copyProject(): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of ['package.json', 'tsconfig.json', 'scripts', 'src']) {
    await cp(name, join(folder, name), { recursive: true });
  }
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** `npm run dev` on a terminal. */
function startDev(cwd: string, port: number): Program {
  const [command = '', ...args] = [...TERMINAL, 'npm', 'run', 'dev'];
  const env = { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: String(port), TERM: 'xterm' };
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return new Program(child);
}

/** Resolves when the server has greeted so many times. */
async function greetings(program: Program, count: number): Promise<void> {
  await program.prints(new RegExp(`(?:${GREETING.source}[\\s\\S]*?){${count}}`));
}

it('npm run dev restarts in a moment, with goodbyes, and has the playground open', async () => {
  const folder = await copyProject();
  // .env is read, and what npm run dev sets wins.
  await writeFile(join(folder, '.env'), `JWT_SECRET=${SECRET}\nDRAIN_SECONDS=25\n`);
  const port = await freePort();
  const program = startDev(folder, port);
  await greetings(program, 1);
  const url = `ws://127.0.0.1:${port}/subscribe`;
  const connectAll = () =>
    Promise.all(Array.from({ length: CLIENTS }, async () => connectClient(url)));
  const clients: TestClient[] = await connectAll();
  await clients[0]?.subscribe('a');

  await appendFile(join(folder, 'src/protocol/channel.ts'), '\n');
  for (const client of clients) {
    expect(await client.closed).toEqual({ code: 1001, reason: 'Server shutting down' });
  }
  await greetings(program, 2);
  expect((await fetch(`http://127.0.0.1:${port}/test`)).status).toBe(200);
  expect(program.output).not.toContain(CLEAR_SCREEN);

  // What is no code counts too.
  const page = join(folder, 'src/pages/assets/landing.html');
  await writeFile(page, (await readFile(page, 'utf8')).replace('it is running', 'it runs anew'));
  await greetings(program, 3);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain('it runs anew');

  const others = await connectAll();
  press(program, CTRL_C);
  for (const client of others) expect(await client.closed).toMatchObject({ code: 1001 });
  await program.ended;
});
