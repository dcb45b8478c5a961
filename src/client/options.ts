type Tokens = string | readonly string[];

/** `waiting` is before the next attempt; `closed` is until `connect` is called again. */
export type ClientState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';

export interface ClientOptions {
  /**
   * Asks your app for a token that names the channels, or for several; null when nobody is logged in, which closes the
   * client. Called for every connection. `signal` is aborted when the answer is not wanted any more, after ten seconds
   * at the latest. When it fails it is called again, later with every failure.
   */
  readonly token: (options: {
    readonly signal: AbortSignal;
  }) => Tokens | null | PromiseLike<Tokens | null>;
  /** The position that the page was rendered with: the client begins with what was broadcast after it. */
  readonly since?: string | undefined;
  /** The class to use where there is no global one: that of `ws`, in Node 20. */
  readonly WebSocket?: (new (url: string) => WebSocketLike) | undefined;
}

/** What the client needs of a websocket: those of browsers, Node, Bun and `ws` have it. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}
