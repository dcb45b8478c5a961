import { on, once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { WebSocket } from 'ws';
import { dialects } from './dialects.ts';
import type { Peer } from './peers.ts';
import { forge, sign } from './token.ts';

const CHANNEL = 'check';
const MESSAGE = {
  event: 'Bifröst 🌈',
  data: { list: [1, 'two', null, true], nested: { empty: {} } },
};
const PATIENCE_MS = 5_000;

async function post(port: number, token: string) {
  const response = await fetch(`http://127.0.0.1:${port}/broadcast`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: response.status, body: await response.text() };
}

function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

/** Rejects unless the server does the job that is going to be measured, as a websocket client sees it. */
export async function checkAnswers(peer: Peer, port: number): Promise<void> {
  const dialect = dialects[peer.dialect];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const client = new WebSocket(`ws://127.0.0.1:${port}${dialect.path}`);
  // It queues from the first moment, so nothing that arrives is missed.
  const messages = on(client, 'message', { signal });
  const nextText = async () => String((await messages.next()).value[0]);
  try {
    await once(client, 'open', { signal });
    client.send(dialect.authenticate(sign({ channels: [CHANNEL] })));
    while (!dialect.isSubscribed(await nextText()));

    const forged = await post(port, forge({ channel: CHANNEL, message: { event: 'forged' } }));
    expectEqual('the status of a forged broadcast', forged.status, 400);

    const answer = await post(port, sign({ channel: CHANNEL, message: MESSAGE }));
    expectEqual('the answer', answer, {
      status: 200,
      body: '{"message":"Success","deliveries":1}',
    });
    // That it comes first proves that nothing came of the forged one.
    expectEqual('the broadcast', dialect.decode(await nextText()), MESSAGE);
  } finally {
    client.terminate();
  }
}
