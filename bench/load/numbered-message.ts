/** A message with a number, of so many bytes as JSON text. */
export function createNumberedMessage(number: number, bytes: number): object {
  const message = { number, text: '' };
  return { ...message, text: 'x'.repeat(bytes - JSON.stringify(message).length) };
}

const MESSAGE = /^\{"number":(\d+),"text":"x*"\}$/;

/** The number of a message in its JSON text. Undefined for any other text. */
export function parseMessageNumber(text: string): number | undefined {
  const [, number] = MESSAGE.exec(text) ?? [];
  return number === undefined ? undefined : Number(number);
}
