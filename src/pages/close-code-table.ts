import { disconnects } from '../close-codes.ts';
import { escapeHtml } from './page.ts';

interface Meaning {
  /** What happened, as a sentence. */
  readonly meaning: string;
  /** What to do about it, as a sentence. */
  readonly advice: string;
}

/** A reason of ours without a meaning, or the other way round, does not compile. */
const MEANINGS: Readonly<Record<keyof typeof disconnects, Meaning>> = {
  shuttingDown: {
    meaning: 'The server was told to stop.',
    advice: 'Come back after a random delay.',
  },
  brokerLost: {
    meaning: 'The server lost the broker that carries broadcasts between machines.',
    advice: 'Come back with back-off, then load the current state.',
  },
  invalidMessage: {
    meaning: 'A message was not JSON, or not a JSON object.',
    advice: 'Mend the message; unchanged it will be refused again.',
  },
  invalidChannels: {
    meaning: 'The token is genuine, but its channels are not an array of strings.',
    advice: 'Mend the claim; unchanged it will be refused again.',
  },
  malformedChannel: {
    meaning: 'A channel name has half of a surrogate pair in it.',
    advice: 'Mend the name; unchanged it will be refused again.',
  },
  notAuthorized: {
    meaning:
      'The token was refused: changed after it was signed, expired, signed with another secret, or missing.',
    advice: 'Mint a fresh token and reconnect.',
  },
  tokenExpired: {
    meaning: 'The time of the newest token is up, and ENFORCE_TOKEN_EXPIRY is on.',
    advice: 'Mint a fresh token and reconnect.',
  },
  authenticationTimeout: {
    meaning: 'No good token came within AUTH_TIMEOUT_SECONDS.',
    advice: 'Reconnect and authenticate sooner.',
  },
  pingTimeout: {
    meaning: 'A ping was not answered before the next one was due.',
    advice: 'Reconnect; the network between may have failed.',
  },
  tooManyChannels: {
    meaning: 'The token asks for more than MAX_CHANNELS_PER_CONNECTION.',
    advice: 'Ask for fewer channels.',
  },
  channelTooLong: {
    meaning: 'A channel name is longer than MAX_CHANNEL_LENGTH.',
    advice: 'Use a shorter name.',
  },
  tooSlow: {
    meaning: 'More than MAX_BUFFERED_BYTES were waiting to be read.',
    advice: 'Reconnect and load the current state.',
  },
};

interface CloseCode extends Meaning {
  readonly code: number;
  /** What the close frame says; empty when the code alone decides. */
  readonly reason: string;
}

/** What ws and browsers close with by themselves (RFC 6455 §7.4.1). */
const STANDARD_CODES: readonly CloseCode[] = [
  {
    code: 1000,
    reason: '',
    meaning: 'You closed the connection.',
    advice: 'Reconnect when you like.',
  },
  {
    code: 1001,
    reason: '',
    meaning: 'The other side went away.',
    advice: 'Come back after a random delay.',
  },
  {
    code: 1002,
    reason: '',
    meaning: 'A frame was broken.',
    advice: 'Mend the client.',
  },
  {
    code: 1005,
    reason: '',
    meaning: 'The connection was closed without a code.',
    advice: 'Reconnect when you like.',
  },
  {
    code: 1006,
    reason: '',
    meaning:
      'The connection was cut off, or never opened: the server is gone, or refused it (ALLOWED_ORIGINS, MAX_CONNECTIONS).',
    advice: 'Look at the server, then reconnect.',
  },
  {
    code: 1007,
    reason: '',
    meaning: 'A text message was not UTF-8.',
    advice: 'Mend the client.',
  },
  {
    code: 1008,
    reason: '',
    meaning: 'A message came in too many pieces.',
    advice: 'Send it in one piece.',
  },
  {
    code: 1009,
    reason: '',
    meaning: 'A message was longer than MAX_MESSAGE_BYTES.',
    advice: 'Send a shorter one.',
  },
];

const OUR_CODES: readonly CloseCode[] = Object.entries(MEANINGS).map(([name, meaning]) => ({
  ...disconnects[name as keyof typeof disconnects],
  ...meaning,
}));

/** The rows of the table of close codes, as HTML. The playground's script reads the meaning of a code from them too. */
export function closeCodeRows(): string {
  return [...STANDARD_CODES, ...OUR_CODES]
    .toSorted((a, b) => a.code - b.code)
    .map(({ code, reason, meaning, advice }) => {
      const cells = [meaning, advice].map((text) => `<td>${escapeHtml(text)}</td>`).join('');
      return (
        `<tr data-code="${code}" data-reason="${escapeHtml(reason)}">` +
        `<th scope="row">${code}${reason && ` <span>${escapeHtml(reason)}</span>`}</th>${cells}</tr>`
      );
    })
    .join('\n');
}
