import type { Readable } from 'node:stream';
import { isObject, memberText, parseJson } from '../../protocol/json.ts';
import type { Broadcast, PublishedBroadcast } from '../../publisher/index.ts';
import { decode, readLines } from './standard-input.ts';

export interface PublishLinesOptions {
  readonly publish: (broadcast: Broadcast) => Promise<PublishedBroadcast>;
  /** Why `publish` rejected, for people. */
  readonly describe: (error: unknown) => string;
  /** Called after each line with how many have been sent. */
  readonly onSent: (sent: number) => void;
}

export interface PublishedLines {
  /** To how many sockets all of them were handed. */
  readonly deliveries: number;
  /** True if there may be more deliveries. */
  readonly partial: boolean;
}

/** Lines that may wait for their answers, and their bytes. Four full requests of the publisher are under way at most. */
const MAX_UNANSWERED = 1_000;
const MAX_UNANSWERED_BYTES = 2 ** 22;

/**
 * Publishes each line, the text of an object with `channel` or `channels`, `message` and maybe `history`. Reads on only
 * as fast as they are answered. Reads no more after the first line at fault; rejects with its number when those before
 * have been answered.
 */
export async function publishLines(
  input: Readable,
  { publish, describe, onSent }: PublishLinesOptions,
): Promise<PublishedLines> {
  let [read, sent, deliveries, unanswered, unansweredBytes] = [0, 0, 0, 0, 0];
  let partial = false;
  let failure: { readonly line: number; readonly error: Error } | undefined;
  let onAnswer = () => {};

  const answer = () =>
    new Promise<void>((resolve) => {
      onAnswer = resolve;
    });
  const fail = (line: number, text: string) => {
    if (failure !== undefined && failure.line < line) return;
    failure = { line, error: new Error(`line ${line}: ${text}`) };
    // Ends the wait for a next line, which may never come.
    input.destroy(failure.error);
  };
  const send = async (line: number, bytes: Buffer) => {
    unanswered += 1;
    unansweredBytes += bytes.length;
    try {
      const broadcast = parseLine(decode(bytes));
      if (broadcast !== undefined) {
        const published = await publish(broadcast);
        deliveries += published.deliveries ?? 0;
        partial ||= published.partial === true;
        sent += 1;
        onSent(sent);
      }
    } catch (error) {
      fail(line, describe(error));
    }
    unanswered -= 1;
    unansweredBytes -= bytes.length;
    onAnswer();
  };

  try {
    for await (const bytes of readLines(input)) {
      read += 1;
      void send(read, bytes);
      while (unanswered >= MAX_UNANSWERED || unansweredBytes >= MAX_UNANSWERED_BYTES) {
        await answer();
      }
      if (failure !== undefined) break;
    }
  } catch (error) {
    if (failure === undefined) fail(read + 1, describe(error));
  }
  while (unanswered > 0) await answer();
  if (failure === undefined) return { deliveries, partial };
  throw new Error(`${failure.error.message}; sent ${sent} of ${read} lines`);
}

/** Undefined for an empty line. The publisher checks what is not checked here. */
function parseLine(text: string): Broadcast | undefined {
  if (/^\s*$/.test(text)) return undefined;
  const line = parseJson(text);
  if (!isObject(line)) throw new Error('must be a JSON object with a channel and a message');

  const { channel, channels, message, history } = line;
  if (!isObject(typeof message === 'string' ? parseJson(message) : message)) {
    throw new Error('message must be a JSON object');
  }
  return {
    channel,
    channels,
    // Its own text: parsing and writing it again would change big integers and the order of keys.
    message: typeof message === 'string' ? message : memberText(text, 'message'),
    history,
  } as Broadcast;
}
