import { createClient, ErrorReply } from 'redis';

/** One connection of the official client. It never reconnects: its owner decides what follows a loss. */
export type RedisClient = ReturnType<typeof createRedisClient>;

/** `lost` also ends an attempt to connect, which `destroy` does not. */
export function createRedisClient(url: string, connectTimeoutMs: number, lost: AbortSignal) {
  return createClient({
    url,
    // What could not be sent at once must fail: sent later it would arrive after a 503.
    disableOfflineQueue: true,
    socket: { connectTimeout: connectTimeoutMs, reconnectStrategy: false, signal: lost },
  });
}

/** Whether Redis answered, and refused. */
export function isRefusal(error: unknown): error is ErrorReply {
  return error instanceof ErrorReply;
}

/**
 * Whether Redis refused because it takes no writes at the moment: out of memory, a disk that cannot be written, too few
 * replicas. Publishing and subscribing go on.
 */
export function isWriteRefusal(error: unknown): error is ErrorReply {
  return isRefusal(error) && /\b(?:OOM|MISCONF|NOREPLICAS) /.test(error.message);
}

/** Redis' error about an unknown command repeats its arguments: the message, which must stay out of the log. */
export function withoutArguments({ message }: Error): string {
  return message.replace(/, with args beginning with:.*/s, '');
}

/** Asks one Redis for its role in replication, in the first of two ways that it does not refuse. */
export class RoleProbe {
  readonly #client: RedisClient;
  #mayAskRole = true;
  #mayAskInfo = true;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** Resolves to `master`, `slave` or `sentinel`, or to undefined where Redis refuses to say. */
  async role(): Promise<string | undefined> {
    if (this.#mayAskRole) {
      const role = await unlessRefused(() => this.#client.sendCommand<unknown[]>(['ROLE']));
      if (role !== undefined) return String(role[0]);
      // Not asked again on this connection: each refusal is a line in the log of Redis' ACL.
      this.#mayAskRole = false;
    }
    if (this.#mayAskInfo) {
      const info = await unlessRefused(() => this.#client.info('replication'));
      const role = /^role:(\w+)/m.exec(info ?? '')?.[1];
      if (role !== undefined) return role;
      this.#mayAskInfo = false;
    }
    return undefined;
  }
}

/** Throws when the role is known and not that of a master. */
export function refuseReplica(role: string | undefined): void {
  if (role === undefined || role === 'master') return;
  const name = role === 'slave' ? 'replica' : role;
  throw new Error(`REDIS_URL leads to a ${name}; only a master carries broadcasts to every node`);
}

async function unlessRefused<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
