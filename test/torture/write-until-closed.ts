import type { Socket } from 'node:net';
import { withTimeout } from './with-timeout.ts';

/** The server destroys a connection two seconds after its close frame, whatever the client does. */
const CLOSE_TIMEOUT_MS = 15_000;

/**
 * Writes a message again and again, because a client that does not read learns of a close only when it fails to write.
 * Resolves when the connection has closed or had the time to.
 */
export async function writeUntilClosed(
  socket: Socket,
  message: Buffer,
  intervalMs: number,
  closed: Promise<unknown>,
): Promise<void> {
  const writing = setInterval(() => socket.write(message), intervalMs);
  await withTimeout(closed, CLOSE_TIMEOUT_MS);
  clearInterval(writing);
}
