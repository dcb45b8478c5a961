/** What one process tells another in one turn of the event loop, in its order. */
export interface MessageBatch<M> {
  readonly kind: 'batch';
  readonly messages: readonly M[];
}

/**
 * Collects the messages of one turn of the event loop and posts them as one. Each post costs system calls on both
 * sides and wakes the other process. Broadcasts that arrive together are also written together.
 */
export class MessageBatcher<M> {
  #messages: M[] = [];
  readonly #post: (batch: MessageBatch<M>) => void;

  /** `post` must not throw. */
  constructor(post: (batch: MessageBatch<M>) => void) {
    this.#post = post;
  }

  add(message: M): void {
    this.#messages.push(message);
    if (this.#messages.length === 1) setImmediate(() => this.#postAll());
  }

  #postAll(): void {
    const messages = this.#messages;
    this.#messages = [];
    this.#post({ kind: 'batch', messages });
  }
}
