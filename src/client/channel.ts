import { createListeners, type Listeners, type ListenOptions, type Unlisten } from './listeners.ts';

/** A broadcast as it arrived. */
export interface Message<Data = unknown> {
  /** Undefined if the server does not say it, because it knows no positions, and there are several. */
  readonly channel: string | undefined;
  /** The message's own `event`; undefined if it has none, or not a text. */
  readonly event: string | undefined;
  /** Its `data`; the whole message if it has no `event`. */
  readonly data: Data;
  /** The JSON text as it was signed: `JSON.parse` loses the digits of big integers, this has them. */
  readonly text: string;
  /** Its place in the one order of broadcasts; undefined for one that the server does not keep. */
  readonly position: string | undefined;
  /** True if it was missed, and the server sent it again after a reconnect. */
  readonly replayed: boolean;
}

/** Channels on which messages may have been lost: load their state anew. */
export interface Gap {
  readonly channels: readonly string[];
}

/** Event names → the type of their `data`. */
export type EventMap = object;

/** The functions that register handlers need no `this`. Each returns the function that undoes it. */
export interface MessageSource<Events extends EventMap> {
  /** Calls the handler with each message that has this `event`. */
  readonly on: <Event extends keyof Events & string>(
    event: Event,
    handler: (data: Events[Event], message: Message<Events[Event]>) => void,
    options?: ListenOptions,
  ) => Unlisten;
  /** Calls the handler with each message, of whatever form. */
  readonly onMessage: (handler: (message: Message) => void, options?: ListenOptions) => Unlisten;
  /** Calls the handler when messages may have been lost: once for all channels that one token names. */
  readonly onGap: (handler: (gap: Gap) => void, options?: ListenOptions) => Unlisten;
}

/**
 * The messages of one channel, as far as the tokens allow it: this subscribes to nothing. Iterating over it waits for
 * one message after the other, until you break; it throws when more than 10,000 are waiting.
 */
export interface Channel<Events extends EventMap>
  extends MessageSource<Events>,
    AsyncIterable<Message> {
  /** The newest message since somebody first asked for this channel. */
  readonly last: () => Message | undefined;
  /** Calls `onChange` when `last` has changed: `useSyncExternalStore(channel.subscribe, channel.last)`. */
  readonly subscribe: (onChange: () => void) => Unlisten;
}

export const createSource = <Events extends EventMap>({
  listen,
}: Listeners): MessageSource<Events> => ({
  on: (event, handler, options) =>
    listen(`on ${event}`, (message) => handler(message.data, message), options),
  onMessage: (handler, options) => listen('message', handler, options),
  onGap: (handler, options) => listen('gap', handler, options),
});

/** Hands a message to those who registered for it. */
export const emitMessage = ({ emit }: Listeners, message: Message): void => {
  emit('message', message);
  if (message.event !== undefined) emit(`on ${message.event}`, message);
};

export const createChannel = <Events extends EventMap>() => {
  const listeners = createListeners();
  let newest: Message | undefined;
  // The first handler, so that all others find it.
  listeners.listen('message', (message) => {
    newest = message;
  });
  const source = createSource<Events>(listeners);
  const channel: Channel<Events> = {
    ...source,
    last: () => newest,
    subscribe: (onChange) => source.onMessage(() => onChange()),
    [Symbol.asyncIterator]: () => iterate(source),
  };
  return { listeners, channel };
};

const MAX_WAITING = 10_000;

async function* iterate({ onMessage }: MessageSource<EventMap>): AsyncGenerator<Message> {
  const waiting: Message[] = [];
  let wake = () => {};
  const unlisten = onMessage((message) => {
    waiting.push(message);
    wake();
  });
  try {
    for (;;) {
      if (waiting.length > MAX_WAITING) throw new Error('Too many messages are waiting');
      const message = waiting.shift();
      if (message) yield message;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    unlisten();
  }
}
