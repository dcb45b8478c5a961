import { onTestFinished, vi } from 'vitest';
import { BifrostClient, type ClientOptions, type WebSocketLike } from '../../src/client/index.ts';

/** A websocket whose server is the test. */
export class FakeSocket implements WebSocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly url: string;
  readonly sent: string[] = [];
  /** True once the client has closed it, or it has ended. */
  isClosed = false;
  /** Called with what the client sends. */
  onsend: (text: string) => void = () => {};

  constructor(url: string) {
    this.url = url;
  }

  /** True while the client would notice if anything happened to it. */
  get isAttached(): boolean {
    return this.onopen !== null || this.onmessage !== null || this.onclose !== null;
  }

  send(text: string): void {
    if (this.isClosed) throw new Error('sent on a closed socket');
    this.sent.push(text);
    this.onsend(text);
  }

  close(): void {
    this.isClosed = true;
  }

  open(): void {
    this.onopen?.(undefined as never);
  }

  receive(frame: unknown): void {
    const data = typeof frame === 'string' ? frame : JSON.stringify(frame);
    this.onmessage?.({ data } as never);
  }

  /** Confirms channels; `details` are further members of the last one. */
  confirm(channels: readonly string[], details: object = {}): void {
    for (const [n, channel] of channels.entries()) {
      const members = n === channels.length - 1 ? details : {};
      this.receive({ event: 'subscribed', data: JSON.stringify({ channel, ...members }) });
    }
  }

  end(code: number, reason = ''): void {
    this.isClosed = true;
    this.onclose?.({ code, reason } as never);
  }
}

/** All sockets that clients have opened, the newest last. */
export interface FakeNetwork {
  readonly sockets: FakeSocket[];
  readonly last: FakeSocket;
  readonly WebSocket: new (url: string) => FakeSocket;
}

export function createNetwork(onOpen: (socket: FakeSocket) => void = () => {}): FakeNetwork {
  const sockets: FakeSocket[] = [];
  return {
    sockets,
    get last() {
      return sockets.at(-1) as FakeSocket;
    },
    WebSocket: class extends FakeSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
        onOpen(this);
      }
    },
  };
}

/** Time stands still until the test lets it go on. */
export function stopTime(): void {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  onTestFinished(() => {
    vi.useRealTimers();
  });
}

/** Lets time go on, and what follows from it. */
export const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** The page around the client: listeners that it registered there, and a way to make them hear. */
export function createPage() {
  const listeners = new Map<string, Set<(event: { type: string }) => void>>();
  const document = { hidden: false };
  vi.stubGlobal('document', document);
  vi.stubGlobal('addEventListener', (name: string, listener: (event: object) => void) => {
    listeners.set(name, (listeners.get(name) ?? new Set()).add(listener));
  });
  vi.stubGlobal('removeEventListener', (name: string, listener: () => void) => {
    listeners.get(name)?.delete(listener);
  });
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  return {
    document,
    dispatch(type: string) {
      for (const listener of listeners.get(type) ?? []) listener({ type });
    },
    get listenerCount() {
      return [...listeners.values()].reduce((sum, { size }) => sum + size, 0);
    },
  };
}

/** A client on a network of its own, with all that it says. */
export function createClient(options: Partial<ClientOptions> = {}, network = createNetwork()) {
  const token = vi.fn(options.token ?? (() => 'token'));
  const { WebSocket } = network;
  const client = new BifrostClient('ws://bifrost/subscribe', { WebSocket, ...options, token });
  const heard: unknown[] = [];
  client.onState((state, error) => heard.push(error ? `${state}: ${error.message}` : state));
  client.onGap(({ channels }) => heard.push({ gap: channels }));
  client.onMessage(({ channel, data, replayed }) => {
    heard.push([channel, data, ...(replayed ? ['replayed'] : [])]);
  });
  onTestFinished(() => client.close());
  return {
    client,
    network,
    token,
    /** What the client has told the app since this was called last. */
    take: () => heard.splice(0),
    /** Connects, up to the moment at which the server has the token. */
    async connect() {
      client.connect();
      network.last.open();
      await wait(0);
      return network.last;
    },
  };
}
