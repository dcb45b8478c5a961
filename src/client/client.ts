/// <reference lib="esnext.disposable" preserve="true" />
import {
  type Channel,
  createChannel,
  createSource,
  type EventMap,
  emitMessage,
  type Message,
  type MessageSource,
} from './channel.ts';
import { type Frame, parseFrame } from './frame.ts';
import { createListeners, type ListenOptions, type Unlisten } from './listeners.ts';
import type { ClientOptions, ClientState, WebSocketLike } from './options.ts';
import { isPageVisible, listenToPage } from './page.ts';
import { Recovery } from './recovery.ts';
import { type ClientEvent, type Effect, INITIAL, reduce, type Step } from './reducer.ts';

const STATES: Partial<Record<Step, ClientState>> = {
  opening: 'connecting',
  authorizing: 'connecting',
  subscribing: 'connecting',
  hidden: 'waiting',
};

/**
 * Receives the broadcasts of the channels that its tokens name, over one websocket that it opens again whenever that is
 * of use. What was broadcast meanwhile is received as well, each message once and in order; where that is not possible,
 * `onGap` says so. Its functions need no `this`.
 *
 * ```ts
 * const bifrost = new BifrostClient<{ greeting: string }>('wss://bifrost.example.com/subscribe', {
 *   token: async ({ signal }) => (await (await fetch('/token', { method: 'POST', signal })).text()),
 * });
 * bifrost.on('greeting', (data) => show(data));
 * bifrost.onGap(() => reload());
 * bifrost.connect();
 * ```
 */
export class BifrostClient<Events extends EventMap = Record<string, unknown>>
  implements MessageSource<Events>
{
  readonly #url: string;
  readonly #options: ClientOptions;
  readonly #listeners = createListeners();
  readonly #channels = new Map<string, ReturnType<typeof createChannel<Events>>>();
  readonly #recovery: Recovery;
  #current = INITIAL;
  #state: ClientState = 'idle';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDueAt: number | undefined;
  #socket: WebSocketLike | undefined;
  #asking: AbortController | undefined;
  #tokens: readonly string[] = [];

  readonly on: MessageSource<Events>['on'];
  readonly onMessage: MessageSource<Events>['onMessage'];
  readonly onGap: MessageSource<Events>['onGap'];

  /** Connects to nothing before `connect` is called. */
  constructor(url: string, options: ClientOptions) {
    this.#url = url;
    this.#options = options;
    this.#recovery = new Recovery(options.since);
    ({
      on: this.on,
      onMessage: this.onMessage,
      onGap: this.onGap,
    } = createSource<Events>(this.#listeners));
  }

  get state(): ClientState {
    return this.#state;
  }

  /** When the next attempt is due, in milliseconds since 1970; undefined unless the client waits for one. */
  get retryAt(): number | undefined {
    return this.#state === 'waiting' ? this.#current.dueAt : undefined;
  }

  /** Calls the handler with each new state. `error` says why it waits or is closed, unless you wanted it so. */
  readonly onState = (
    handler: (state: ClientState, error?: Error) => void,
    options?: ListenOptions,
  ): Unlisten =>
    this.#listeners.listen(
      'state',
      (state, error) => {
        // Another handler may have changed it since.
        if (state === this.#state) handler(state, error);
      },
      options,
    );

  /** The messages of one channel; the same object for the same name. */
  readonly channel = (name: string): Channel<Events> => {
    const known = this.#channels.get(name) ?? createChannel<Events>();
    this.#channels.set(name, known);
    return known.channel;
  };

  /** Opens a connection and keeps it open. At once, if the client waits for its next attempt. */
  readonly connect = (): void => this.#dispatch({ type: 'connect' });

  /** Ends the connection. `connect` goes on where it was. */
  readonly close = (): void => this.#dispatch({ type: 'close' });

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #dispatch(event: ClientEvent): void {
    const { step } = this.#current;
    const { state, effects } = reduce(this.#current, event, Date.now(), Math.random());
    this.#current = state;
    if (state.dueAt !== this.#timerDueAt) {
      clearTimeout(this.#timer);
      this.#timerDueAt = state.dueAt;
      if (state.dueAt !== undefined) {
        this.#timer = setTimeout(this.#onTimer, state.dueAt - Date.now());
      }
    }
    for (const effect of effects) this.#perform(effect);
    if (state.step !== step) this.#announceState();
  }

  #announceState(): void {
    const { step, error } = this.#current;
    listenToPage(step !== 'closed', this.#onPage);
    const state = STATES[step] ?? (step as ClientState);
    if (state === this.#state) return;
    this.#state = state;
    this.#listeners.emit('state', state, error);
  }

  readonly #onTimer = (): void => {
    this.#timerDueAt = undefined;
    this.#dispatch({ type: 'timer' });
  };

  readonly #onPage = ({ type }: { type: string }): void => {
    if (type === 'pagehide') this.#dispatch({ type: 'hide' });
    else if (isPageVisible()) this.#dispatch({ type: 'probe' });
  };

  #perform(effect: Effect): void {
    if (effect === 'open') this.#open();
    else if (effect === 'askToken') void this.#askToken();
    else if (effect === 'authenticate') this.#authenticate();
    else if (effect === 'ping') this.#send({ event: 'ping' });
    else if (effect === 'drop') this.#drop();
    else this.#recovery[effect]();
  }

  #open(): void {
    const { WebSocket = globalThis.WebSocket } = this.#options;
    try {
      const socket: WebSocketLike = new WebSocket(this.#url);
      this.#socket = socket;
      socket.onopen = () => this.#dispatch({ type: 'opened' });
      socket.onmessage = ({ data }: { data: string }) => this.#receive(data);
      socket.onclose = ({ code, reason }: { code: number; reason: string }) =>
        this.#dispatch({ type: 'ended', code, reason });
      // It is followed by a close. The websockets of `ws` throw when nobody listens.
      socket.onerror = () => {};
    } catch (error) {
      this.#dispatch({ type: 'failed', error, final: true });
    }
  }

  /** Never rejects. */
  async #askToken(): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    this.#asking = controller;
    let event: ClientEvent;
    let tokens: readonly string[] = [];
    try {
      const answer = await this.#options.token({ signal });
      if (answer !== null) tokens = [answer].flat();
      event = { type: 'tokens', none: !tokens.length };
    } catch (error) {
      event = { type: 'failed', error };
    }
    if (signal.aborted) return;
    this.#tokens = tokens;
    this.#dispatch(event);
  }

  #authenticate(): void {
    const since = this.#recovery.begin(this.#tokens.length) ?? null;
    for (const data of this.#tokens) this.#send({ event: 'authenticate', data, since });
  }

  #send(message: object): void {
    this.#socket?.send(JSON.stringify(message));
  }

  /** The socket is detached first: whatever still comes of it is of no concern any more. */
  #drop(): void {
    this.#asking?.abort();
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #receive(text: string): void {
    const recovery = this.#recovery;
    const frame = parseFrame(text, recovery.isConfirmed);
    const position = frame?.position;
    this.#dispatch({ type: 'heard', moved: !!position });
    if (frame?.type === 'subscribed') {
      recovery.confirm(frame);
      this.#dispatch({ type: 'subscribed', isLast: !!position });
      if (!position) return;
    }
    // Whatever comes behind the confirmations shows that they were all.
    this.#announceGaps();
    if (frame?.type === 'message') this.#deliver(frame);
    if (!position) return;
    if (frame.type === 'pong') recovery.pong(position);
    else recovery.advance(position);
  }

  #announceGaps(): void {
    const gaps = this.#recovery.takeGaps();
    if (!gaps.length) return;
    this.#listeners.emit('gap', { channels: gaps });
    for (const name of gaps) this.#channels.get(name)?.listeners.emit('gap', { channels: [name] });
  }

  #deliver({ channel, position, text, message: body }: Frame & { type: 'message' }): void {
    const name = channel ?? this.#recovery.onlyChannel;
    const { isNew, replayed } =
      position && name !== undefined
        ? this.#recovery.receive(name, position)
        : { isNew: true, replayed: false };
    if (!isNew) return;
    const event = typeof body['event'] === 'string' ? body['event'] : undefined;
    const data = event === undefined ? body : body['data'];
    const message: Message = { channel: name, event, data, text, position, replayed };
    emitMessage(this.#listeners, message);
    const named = name !== undefined && this.#channels.get(name);
    if (named) emitMessage(named.listeners, message);
  }
}
