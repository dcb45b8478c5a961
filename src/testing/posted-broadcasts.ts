/** A message that was posted to a channel. */
export interface PostedBroadcast {
  readonly channel: string;
  /** The message, parsed from the JSON text that was signed. */
  readonly message: { readonly [member: string]: unknown };
  /** How many sockets it was handed to. */
  readonly deliveries: number;
}

/** Which broadcast is waited for, and for how long. */
export interface NextBroadcastOptions {
  /** Only broadcasts to this channel count. Default: any channel. */
  readonly channel?: string | undefined;
  /** Ends the waiting: the promise rejects with the signal's reason. Such as `AbortSignal.timeout(1_000)`. */
  readonly signal?: AbortSignal | undefined;
}

/** How many broadcasts are remembered, the newest of them. */
const MAX_REMEMBERED = 10_000;

interface Waiter {
  readonly channel: string | undefined;
  readonly resolve: (broadcast: PostedBroadcast) => void;
  readonly reject: (reason: unknown) => void;
}

/** What was posted to a server, and who waits for more of it. */
export class PostedBroadcasts {
  readonly #all: PostedBroadcast[] = [];
  /** Those that `next` has not given to anybody, in their order. */
  readonly #untaken = new Set<PostedBroadcast>();
  /** In the order of their calls. */
  readonly #waiters = new Set<Waiter>();
  #closed: Error | undefined;

  get all(): readonly PostedBroadcast[] {
    return this.#all;
  }

  add(broadcast: PostedBroadcast): void {
    this.#all.push(broadcast);
    if (this.#all.length > MAX_REMEMBERED) {
      const oldest = this.#all.shift();
      if (oldest !== undefined) this.#untaken.delete(oldest);
    }
    for (const waiter of this.#waiters) {
      if (!matches(broadcast, waiter.channel)) continue;
      waiter.resolve(broadcast);
      return;
    }
    this.#untaken.add(broadcast);
  }

  /** Each broadcast is given away once: the oldest first, and to whoever has waited longest. */
  next({ channel, signal }: NextBroadcastOptions = {}): Promise<PostedBroadcast> {
    const broadcast = this.#take(channel);
    if (broadcast !== undefined) return Promise.resolve(broadcast);
    const ended = this.#closed ?? (signal?.aborted ? signal.reason : undefined);
    if (ended !== undefined) return Promise.reject(ended);

    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter = {
        channel,
        resolve(next) {
          settle();
          resolve(next);
        },
        reject(reason) {
          settle();
          reject(reason);
        },
      };
      const abort = () => waiter.reject(signal?.reason);
      signal?.addEventListener('abort', abort);
      this.#waiters.add(waiter);
    });
  }

  /** No more will come: whoever waits is told so. */
  close(): void {
    this.#closed = new Error('The server was closed before the broadcast came');
    for (const waiter of this.#waiters) waiter.reject(this.#closed);
  }

  #take(channel: string | undefined): PostedBroadcast | undefined {
    for (const broadcast of this.#untaken) {
      if (!matches(broadcast, channel)) continue;
      this.#untaken.delete(broadcast);
      return broadcast;
    }
    return undefined;
  }
}

function matches(broadcast: PostedBroadcast, channel: string | undefined): boolean {
  return channel === undefined || broadcast.channel === channel;
}
