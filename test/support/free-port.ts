import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections: one of those might take it while nobody listens. Above
 * 10080, which `fetch` refuses to connect to (Fetch, "bad ports").
 */
const MIN_PORT = 10_081;
const MAX_PORT = 15_999;

/** A loopback port that is free now, and that no outgoing connection will take. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(randomInt(MIN_PORT, MAX_PORT + 1), '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
}
