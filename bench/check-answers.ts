import { on, once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { WebSocket } from 'ws';
import { sign } from '../test/support/tokens.ts';
import { signExpiring } from './load/expiring-token.ts';
import { createMessage } from './load/message.ts';
import { type ProtocolName, protocolAdapters } from './load/protocol-adapters.ts';

const CHANNEL = 'check';
const MESSAGES = [
  { event: 'Bifröst 🌈', data: { list: [1, 'two', null, true], nested: { empty: {} } } },
  // Long enough to be compressed where compression is on.
  createMessage(0, 'rows'),
];
const TIMEOUT_MS = 5_000;

async function postToken(port: number, token: string) {
  const response = await fetch(`http://127.0.0.1:${port}/broadcast`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return { status: response.status, body: await response.text() };
}

function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

export interface CheckOptions {
  readonly protocol: ProtocolName;
  /** Of the server to subscribe to. */
  readonly port: number;
  /** Of the server to post to: the same one, or another that passes broadcasts on to it. */
  readonly postPort: number;
}

/** Rejects unless a websocket client that subscribes receives what is posted, and a forged broadcast is refused. */
export async function checkAnswers({ protocol, port, postPort }: CheckOptions): Promise<void> {
  const adapter = protocolAdapters[protocol];
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const client = new WebSocket(`ws://127.0.0.1:${port}${adapter.path}`);
  // The client offers compression, as browsers do. `on` queues messages from the first moment, so none is missed.
  const messages = on(client, 'message', { signal });
  const nextText = async () => String((await messages.next()).value[0]);
  try {
    await once(client, 'open', { signal });
    client.send(adapter.authenticate(signExpiring({ channels: [CHANNEL] })));
    while (!adapter.isSubscribed(await nextText()));

    const claims = { channel: CHANNEL, message: { event: 'forged' } };
    const forged = await postToken(postPort, sign(claims, { secret: 'not the secret' }));
    expectEqual('the status of a forged broadcast', forged.status, 400);

    for (const message of MESSAGES) {
      const answer = await postToken(postPort, signExpiring({ channel: CHANNEL, message }));
      expectEqual('the answer', answer, {
        status: 200,
        body: '{"message":"Success","deliveries":1}',
      });
      // Messages keep their order, so this one coming first proves that the forged one never came.
      expectEqual('the broadcast', adapter.decode(await nextText()), message);
    }
  } finally {
    client.terminate();
  }
}
