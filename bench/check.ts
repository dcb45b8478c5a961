import { on, once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { WebSocket } from 'ws';
import { sign } from '../test/support/tokens.ts';
import { type DialectName, dialects } from './dialects.ts';
import { createMessage } from './message.ts';
import { signExpiring } from './token.ts';

const CHANNEL = 'check';
const MESSAGES = [
  { event: 'Bifröst 🌈', data: { list: [1, 'two', null, true], nested: { empty: {} } } },
  // Long enough to be compressed, where that is on.
  createMessage(0, 'rows'),
];
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

export interface CheckOptions {
  readonly dialect: DialectName;
  /** Of the server to subscribe to. */
  readonly port: number;
  /** Of the server to post to: another node of the same, or the same. */
  readonly postPort: number;
}

/** Rejects unless the servers do the job that is going to be measured, as a websocket client sees it. */
export async function checkAnswers(options: CheckOptions): Promise<void> {
  const { port, postPort } = options;
  const dialect = dialects[options.dialect];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const client = new WebSocket(`ws://127.0.0.1:${port}${dialect.path}`);
  // It offers to compress, as browsers do. The queue takes from the first moment, so nothing that arrives is missed.
  const messages = on(client, 'message', { signal });
  const nextText = async () => String((await messages.next()).value[0]);
  try {
    await once(client, 'open', { signal });
    client.send(dialect.authenticate(signExpiring({ channels: [CHANNEL] })));
    while (!dialect.isSubscribed(await nextText()));

    const claims = { channel: CHANNEL, message: { event: 'forged' } };
    const forged = await post(postPort, sign(claims, { secret: 'not the secret' }));
    expectEqual('the status of a forged broadcast', forged.status, 400);

    for (const message of MESSAGES) {
      const answer = await post(postPort, signExpiring({ channel: CHANNEL, message }));
      expectEqual('the answer', answer, {
        status: 200,
        body: '{"message":"Success","deliveries":1}',
      });
      // That the first comes first proves that nothing came of the forged one.
      expectEqual('the broadcast', dialect.decode(await nextText()), message);
    }
  } finally {
    client.terminate();
  }
}
