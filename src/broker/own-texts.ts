/**
 * Copies of messages, one for those of the same text that follow each other. A message is often a slice of a longer text,
 * the request or the text of another process that it came in, which V8 would keep as long as the slice: a megabyte for
 * a message that counts as 300 bytes.
 */
export class OwnTexts {
  #text = '';
  #copy = '';

  of(text: string): string {
    if (text !== this.#text) {
      this.#text = text;
      this.#copy = copyText(text);
    }
    return this.#copy;
  }
}

/** The same characters in memory of their own. */
export function copyText(text: string): string {
  return Buffer.from(text).toString();
}
