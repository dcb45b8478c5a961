import { expect, it, onTestFinished } from 'vitest';
import { connectClient } from '../support/client.ts';
import { flood } from '../support/flood.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';

/** Of 700 KB each: more than 64 MiB, which is what may wait. */
const FLOOD = 110;

it('broadcasts are refused while the first process hangs, and delivered when it continues', async () => {
  const program = startProgram(await temporaryFolder(), {
    JWT_SECRET: SECRET,
    WEB_CONCURRENCY: '2',
  });
  await program.prints(/listens on[\s\S]*listens on/);
  const port = await program.listening();
  const url = `http://127.0.0.1:${port}`;
  const pid = program.child.pid ?? 0;
  const [, other] = [...program.output.matchAll(/"pid":(\d+).*listens on/g)].map((match) =>
    Number(match[1]),
  );
  // Nobody but the first worker accepts a connection now.
  process.kill(other ?? 0, 'SIGSTOP');
  onTestFinished(() => {
    process.kill(other ?? 0, 'SIGKILL');
  });
  const client = await connectClient(`${url.replace('http', 'ws')}/subscribe`);
  await client.subscribe('b');
  const post = async (channel: string) => {
    const body = JSON.stringify({ token: sign({ channel, message: { channel } }) });
    const response = await fetch(`${url}/broadcast`, { method: 'POST', body });
    return `${response.status} ${await response.text()}`;
  };
  const health = async () => (await fetch(`${url}/healthz`)).text();

  process.kill(pid, 'SIGSTOP');
  const message = { padding: 'x'.repeat(700_000) };
  const large = JSON.stringify({ token: sign({ channel: 'nobody', message }) });
  expect(await flood(port, large, FLOOD)).toEqual(new Set(['503 {"error":"Broker unavailable"}']));
  expect(await health()).toBe('{"status":"broker unavailable"}');
  expect(await post('b')).toBe('503 {"error":"Broker unavailable"}');
  const joining = client.subscribe('c');

  process.kill(pid, 'SIGCONT');
  while ((await health()) !== '{"status":"ok"}');
  await joining;
  for (const channel of ['b', 'c']) {
    expect(await post(channel)).toBe('200 {"message":"Success","deliveries":1}');
    expect(await client.next()).toEqual({ channel });
  }
});
