import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Listener } from './listener.ts';

/** How long requests in flight may still take when the listener closes. */
const FINISH_REQUESTS_MS = 2_000;

/** Where a server listens, and who is told of connections that it could not accept. */
export interface ListenOptions {
  /** Every interface if undefined. */
  readonly host: string | undefined;
  readonly port: number;
  onAcceptError(error: Error): void;
}

/** Resolves to the bound address, or to undefined if the server was closed first. Rejects when it cannot bind. */
export function listen(
  server: HttpServer,
  { host, port, onAcceptError }: ListenOptions,
): Promise<AddressInfo | undefined> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // A server that is closed during the lookup of its host name never emits 'listening'.
    server.once('close', () => resolve(undefined));
    server.listen(port, host, () => {
      server.off('error', reject);
      server.on('error', onAcceptError);
      resolve(server.address() as AddressInfo);
    });
  });
}

/** Stops listening and resolves when the last connection is gone: after two seconds all that are left are destroyed. */
export async function closeListener({ httpServer, destroySockets }: Listener): Promise<void> {
  const closed = new Promise<void>((resolve) => httpServer.close(() => resolve()));
  const timeout = setTimeout(destroySockets, FINISH_REQUESTS_MS);
  await closed;
  clearTimeout(timeout);
}
