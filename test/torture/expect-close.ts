import type { Target } from './attack.ts';
import { HANDSHAKE, PING_MESSAGE } from './client-messages.ts';
import type { ResultCollector } from './result-collector.ts';
import { WireClient } from './wire-client.ts';

/** Sends `bytes` after a handshake. The server must close the websocket with this code and send nothing else. */
export async function expectClose(
  { port }: Target,
  results: ResultCollector,
  bytes: Buffer,
  [code, reason]: readonly [code: number, reason: string],
  what: () => string,
): Promise<void> {
  results.handshakes += 1;
  const client = new WireClient(port).send(HANDSHAKE, bytes, PING_MESSAGE);
  await client.disconnected;
  results.check(client.closedWith(code, reason), () => `${what()}: ${client.describe()}`);
}
