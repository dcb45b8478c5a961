/** What one process tells another in one turn of the event loop, in its order. */
export interface Letters<M> {
  readonly kind: 'letters';
  readonly letters: readonly M[];
}

/**
 * Collects what is put in one turn of the event loop, to be posted with one message: each costs system calls on both
 * sides and wakes the other process, and broadcasts that arrive together are written together.
 */
export class Mailbox<M> {
  #letters: M[] = [];
  readonly #post: (letters: Letters<M>) => void;

  /** `post` must not throw. */
  constructor(post: (letters: Letters<M>) => void) {
    this.#post = post;
  }

  put(letter: M): void {
    this.#letters.push(letter);
    if (this.#letters.length === 1) setImmediate(() => this.#collect());
  }

  #collect(): void {
    const letters = this.#letters;
    this.#letters = [];
    this.#post({ kind: 'letters', letters });
  }
}
