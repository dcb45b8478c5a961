import { type Disconnect, disconnects, protocolErrors } from '../protocol/close-codes.ts';
import { escapeHtml } from './page.ts';

type Code = keyof typeof disconnects | keyof typeof protocolErrors;

/** What happened, as a sentence. A reason without a meaning does not compile, nor a meaning without a reason. */
const MEANINGS: Readonly<Record<Code, string>> = {
  shuttingDown: 'The server was told to stop.',
  brokerLost: 'The server lost the broker that carries broadcasts between machines.',
  invalidMessage: 'A message was not JSON, or not a JSON object.',
  invalidChannels: 'The token is genuine, but its channels are not an array of strings.',
  malformedChannel: 'A channel name has half of a surrogate pair in it.',
  notAuthorized:
    'The token was refused: changed after it was signed, expired, signed with another secret, or missing.',
  tokenExpired: 'The tokens for one of the channels have expired, and ENFORCE_TOKEN_EXPIRY is on.',
  authenticationTimeout: 'No good token came within AUTH_TIMEOUT_SECONDS.',
  pingTimeout: 'A ping was not answered before the next one was due.',
  tooManyChannels: 'The token asks for more than MAX_CHANNELS_PER_CONNECTION.',
  channelTooLong: 'A channel name is longer than MAX_CHANNEL_LENGTH.',
  tooSlow: 'More than MAX_BUFFERED_BYTES were waiting to be read.',
  brokenFrame: 'A frame was broken.',
  malformedText: 'A text message was not UTF-8.',
  tooManyParts: 'A message came in too many pieces.',
  messageTooLong: 'A message was longer than MAX_MESSAGE_BYTES.',
};

/** What to change before coming back, as a sentence; for the reasons that are never retried unchanged. */
const REMEDIES: Readonly<Record<NeverRetried, string>> = {
  invalidMessage: 'Mend the message; unchanged it will be refused again.',
  invalidChannels: 'Mend the claim; unchanged it will be refused again.',
  malformedChannel: 'Mend the name; unchanged it will be refused again.',
  tooManyChannels: 'Ask for fewer channels.',
  channelTooLong: 'Use a shorter name.',
  brokenFrame: 'Mend the client.',
  malformedText: 'Mend the client.',
  tooManyParts: 'Send it in one piece.',
  messageTooLong: 'Send a shorter one.',
};

type NeverRetried = {
  [Name in Code]: (typeof ALL)[Name]['retry'] extends 'never' ? Name : never;
}[Code];

const ALL = { ...disconnects, ...protocolErrors };

interface Row {
  readonly code: number;
  /** What the close frame says; empty when the code alone decides. */
  readonly reason: string;
  readonly meaning: string;
  /** What to do about it, as a sentence. */
  readonly advice: string;
}

/** Closes that do not come from this server: browsers, clients and networks cause them (RFC 6455 §7.4.1). */
const PEER_ROWS: readonly Row[] = [
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
];

const OUR_ROWS: readonly Row[] = Object.entries(ALL).map(([name, disconnect]) => ({
  code: disconnect.code,
  reason: disconnect.reason,
  meaning: MEANINGS[name as Code],
  advice: adviceOf(disconnect) ?? REMEDIES[name as NeverRetried],
}));

/** Undefined if the same attempt would be refused again; `REMEDIES` then has the advice. */
function adviceOf({ retry, reload }: Disconnect): string | undefined {
  const then = reload ? ', then load the current state.' : '.';
  switch (retry) {
    case 'soon':
      return `Come back after a random delay${then}`;
    case 'backoff':
      return `Come back with back-off${then}`;
    case 'fresh-token':
      return `Mint a fresh token and reconnect${then}`;
    case 'never':
      return undefined;
  }
}

/** The table rows of all close codes, as HTML. The playground's script takes the meaning of a code from them too. */
export function closeCodeRows(): string {
  return [...PEER_ROWS, ...OUR_ROWS]
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
