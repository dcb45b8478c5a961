/** Options of every function that registers a handler. */
export interface ListenOptions {
  /** Removes the handler when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** Undoes a registration. Safe to call twice. */
export type Unlisten = () => void;

// biome-ignore lint/suspicious/noExplicitAny: the typed functions of client and channel are what apps see.
type Handler = (...args: any[]) => void;

/** Handlers by topic. One that throws is reported, and does not keep the others from running. */
export interface Listeners {
  listen(topic: string, handler: Handler, options?: ListenOptions): Unlisten;
  emit(topic: string, ...args: unknown[]): void;
}

/** Browsers show it as an uncaught error; Node has no `reportError`, and an uncaught error would end the process. */
const report = (error: unknown): void => {
  const { reportError = console.error } = globalThis as { reportError?: (error: unknown) => void };
  reportError(error);
};

export const createListeners = (): Listeners => {
  const topics = new Map<string, Set<Handler>>();
  return {
    listen(topic, handler, { signal } = {}) {
      const handlers = topics.get(topic) ?? new Set();
      // The same function may be registered twice; each time it is undone apart.
      const own: Handler = (...args) => handler(...args);
      const unlisten = () => {
        signal?.removeEventListener('abort', unlisten);
        handlers.delete(own);
      };
      if (!signal?.aborted) topics.set(topic, handlers.add(own));
      signal?.addEventListener('abort', unlisten);
      return unlisten;
    },
    emit(topic, ...args) {
      // A copy: those that are added meanwhile are for the next one.
      for (const handler of [...(topics.get(topic) ?? [])]) {
        try {
          handler(...args);
        } catch (error) {
          report(error);
        }
      }
    },
  };
};
