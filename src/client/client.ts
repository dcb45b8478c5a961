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
import { parseFrame } from './frame.ts';
import { createListeners, type ListenOptions, type Unlisten } from './listeners.ts';
import { Recovery } from './recovery.ts';
import { type ClientEvent, type Effect, INITIAL, reduce, type Step } from './reducer.ts';

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

type Tokens = string | readonly string[];

/** What the client needs of a websocket: those of browsers, Node, Bun and `ws` have it. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

const STATES: Partial<Record<Step, ClientState>> = {
  opening: 'connecting',
  authorizing: 'connecting',
  subscribing: 'connecting',
  hidden: 'waiting',
};

/** What only browsers have. */
interface Page {
  readonly document?: { readonly hidden: boolean };
  addEventListener?(name: string, listener: (event: { type: string }) => void): void;
  removeEventListener?(name: string, listener: (event: { type: string }) => void): void;
}

const page = globalThis as Page;

const PAGE_EVENTS = ['visibilitychange', 'online', 'pageshow', 'pagehide'];

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
  declare readonly on: MessageSource<Events>['on'];
  declare readonly onMessage: MessageSource<Events>['onMessage'];
  declare readonly onGap: MessageSource<Events>['onGap'];

  /** Calls the handler with each new state. `error` says why it waits or is closed, unless you wanted it so. */
  declare readonly onState: (
    handler: (state: ClientState, error?: Error) => void,
    options?: ListenOptions,
  ) => Unlisten;

  /** The messages of one channel; the same object for the same name. */
  declare readonly channel: (name: string) => Channel<Events>;

  declare readonly state: ClientState;

  /** Opens a connection and keeps it open. At once, if the client waits for its next attempt. */
  declare readonly connect: () => void;

  /** Ends the connection. `connect` goes on where it was. */
  declare readonly close: () => void;

  declare readonly [Symbol.asyncDispose]: () => Promise<void>;

  /** Connects to nothing before `connect` is called. */
  constructor(url: string, { token, since, WebSocket = globalThis.WebSocket }: ClientOptions) {
    const listeners = createListeners();
    const channels = new Map<string, ReturnType<typeof createChannel<Events>>>();
    const recovery = new Recovery(since);
    let current = INITIAL;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let timerDueAt: number | undefined;
    let socket: WebSocketLike | undefined;
    let asking: AbortController | undefined;
    let tokens: readonly string[] = [];

    const dispatch = (event: ClientEvent): void => {
      const { state, effects } = reduce(current, event, Date.now(), Math.random());
      const isNew = state.step !== current.step;
      current = state;
      if (state.dueAt !== timerDueAt) {
        clearTimeout(timer);
        timerDueAt = state.dueAt;
        if (timerDueAt !== undefined) timer = setTimeout(onTimer, timerDueAt - Date.now());
      }
      for (const effect of effects) perform[effect]();
      if (isNew) announceState();
    };

    const announceState = () => {
      const { step, error } = current;
      const isActive = step !== 'closed';
      for (const name of PAGE_EVENTS) {
        page[isActive ? 'addEventListener' : 'removeEventListener']?.(name, onPage);
      }
      const state = STATES[step] ?? (step as ClientState);
      if (state === this.state) return;
      Object.assign(this, { state });
      listeners.emit('state', state, error);
    };

    const onTimer = () => {
      timerDueAt = undefined;
      dispatch({ type: 'timer' });
    };

    const onPage = ({ type }: { type: string }) => {
      if (type === 'pagehide') dispatch({ type: 'hide' });
      else if (!page.document?.hidden) dispatch({ type: 'probe' });
    };

    const send = (message: object) => socket?.send(JSON.stringify(message));

    const perform: Record<Effect, () => void> = {
      open() {
        try {
          const opened = new WebSocket(url);
          socket = opened;
          opened.onopen = () => dispatch({ type: 'opened' });
          opened.onmessage = ({ data }: { data: string }) => receive(data);
          opened.onclose = ({ code, reason }: { code: number; reason: string }) =>
            dispatch({ type: 'ended', code, reason });
          // It is followed by a close. The websockets of `ws` throw when nobody listens.
          opened.onerror = () => {};
        } catch (error) {
          dispatch({ type: 'failed', error, final: true });
        }
      },
      async askToken() {
        const controller = new AbortController();
        const { signal } = controller;
        asking = controller;
        let event: ClientEvent;
        try {
          const answer = await token({ signal });
          tokens = answer === null ? [] : [answer].flat();
          event = { type: 'tokens', none: !tokens.length };
        } catch (error) {
          event = { type: 'failed', error };
        }
        if (!signal.aborted) dispatch(event);
      },
      authenticate() {
        const since = recovery.begin(tokens.length) ?? null;
        for (const data of tokens) send({ event: 'authenticate', data, since });
      },
      ping: () => send({ event: 'ping' }),
      drop() {
        asking?.abort();
        if (!socket) return;
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        socket = undefined;
      },
      forget: () => recovery.forget(),
      leave: () => recovery.leave(),
    };

    const announceGaps = () => {
      const gaps = recovery.takeGaps();
      if (!gaps.length) return;
      listeners.emit('gap', { channels: gaps });
      for (const name of gaps) channels.get(name)?.listeners.emit('gap', { channels: [name] });
    };

    const receive = (text: string) => {
      const frame = parseFrame(text, recovery.isConfirmed);
      dispatch({ type: 'heard', moved: !!frame?.position });
      if (frame?.type === 'subscribed') {
        recovery.confirm(frame);
        dispatch({ type: 'subscribed', isLast: !!frame.position });
        if (!frame.position) return;
      }
      // Whatever comes behind the confirmations shows that they were all.
      announceGaps();
      if (!frame) return;
      const { position } = frame;
      if (frame.type === 'message') deliver(frame);
      if (position) recovery[frame.type === 'pong' ? 'pong' : 'advance'](position);
    };

    const deliver = (frame: Extract<ReturnType<typeof parseFrame>, { type: 'message' }>) => {
      const { channel = recovery.onlyChannel, position, text, message: body } = frame;
      const { isNew, replayed } =
        position && channel !== undefined
          ? recovery.receive(channel, position)
          : { isNew: true, replayed: false };
      if (!isNew) return;
      const event = typeof body['event'] === 'string' ? body['event'] : undefined;
      const data = event === undefined ? body : body['data'];
      const message: Message = { channel, event, data, text, position, replayed };
      emitMessage(listeners, message);
      const named = channel !== undefined && channels.get(channel);
      if (named) emitMessage(named.listeners, message);
    };

    const close = () => dispatch({ type: 'close' });
    Object.assign(this, {
      ...createSource<Events>(listeners),
      state: 'idle',
      onState: ((handler, options) =>
        listeners.listen(
          'state',
          (state, error) => {
            // Another handler may have changed it since.
            if (state === this.state) handler(state, error);
          },
          options,
        )) satisfies typeof this.onState,
      channel(name: string) {
        const known = channels.get(name) ?? createChannel<Events>();
        channels.set(name, known);
        return known.channel;
      },
      connect: () => dispatch({ type: 'connect' }),
      close,
      [Symbol.asyncDispose]: async () => close(),
    });
  }
}
