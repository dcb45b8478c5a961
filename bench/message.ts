/** Every broadcast message is JSON text of this length. */
export const MESSAGE_BYTES = 128;

/** A message unlike that of every other `number`. */
export function createMessage(number: number) {
  const message = { event: 'bench', number: String(number).padStart(9, '0'), text: '' };
  return { ...message, text: 'x'.repeat(MESSAGE_BYTES - JSON.stringify(message).length) };
}
