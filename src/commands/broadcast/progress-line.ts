const INTERVAL_MS = 100;

/** A line on a terminal that is written over and over. Elsewhere nothing is written. */
export class ProgressLine {
  readonly #stream: { readonly isTTY?: boolean; write(text: string): unknown };
  #text = '';
  #writtenAt = 0;

  constructor(stream: { readonly isTTY?: boolean; write(text: string): unknown }) {
    this.#stream = stream;
  }

  /** Shows a text, unless there was one a moment ago. */
  show(text: string): void {
    this.#text = text;
    if (performance.now() - this.#writtenAt >= INTERVAL_MS) this.#write();
  }

  /** Shows the last text and goes to the next line. */
  end(): void {
    if (this.#text === '') return;
    this.#write('\n');
  }

  #write(end = ''): void {
    this.#writtenAt = performance.now();
    // Returns to the start of the line and clears it (ECMA-48 §8.3.41, EL).
    if (this.#stream.isTTY) this.#stream.write(`\r\u001b[K${this.#text}${end}`);
  }
}
