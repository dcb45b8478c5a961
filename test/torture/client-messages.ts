import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { sign } from '../support/tokens.ts';

/** A correct handshake. */
export const HANDSHAKE = Buffer.from(handshake());
export const PING_MESSAGE = clientFrame('{"event":"ping"}');
export const PONG_TEXT = '{"event":"pong"}';

export function closeFrame(code: number, reason: string | Buffer = ''): Buffer {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
  return clientFrame(payload, { first: 0x88 });
}

export function authenticate(token: unknown): Buffer {
  return clientFrame(JSON.stringify({ event: 'authenticate', data: token }));
}

export function subscribe(channels: readonly string[]): Buffer {
  return authenticate(sign({ channels }));
}

/** The text that confirms a subscription. */
export function subscribedText(channel: string): string {
  return JSON.stringify({ event: 'subscribed', data: JSON.stringify({ channel }) });
}
