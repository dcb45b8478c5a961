import { disconnects } from './close-codes.ts';
import { escapeHtml, type Page } from './pages.ts';
import { PLAYGROUND_SCRIPT } from './playground-script.ts';
import { PLAYGROUND_STYLE } from './playground-style.ts';

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

/** The script reads the meaning of a code from these rows too, so the page has one truth. */
function closeCodeRows(): string {
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

/** `GET /test`: everything that a client and an app do, by hand, with what goes over the wire in view. */
export function playgroundPage(): Page {
  return {
    title: 'Bifröst playground',
    style: PLAYGROUND_STYLE,
    script: PLAYGROUND_SCRIPT,
    body: `<h1><a href="/">Bifröst</a> playground</h1>
<header class="bar">
<p id="state" role="status" data-state="idle">Not connected</p>
<dl aria-label="Counters of /info.json">
<div><dt>connected</dt><dd id="connected">–</dd></div>
<div><dt>deliveries</dt><dd id="deliveries">–</dd></div>
</dl>
</header>
<noscript><p>The playground needs JavaScript.</p></noscript>
<main>
<div class="columns">
<div class="steps">
<section aria-labelledby="token-title">
<h2 id="token-title"><span>1</span> Get a token</h2>
<form id="mint">
<label for="channels">Channels</label>
<div class="row">
<input id="channels" value="user:1" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="channels-hint" autofocus>
<button>Mint token</button>
</div>
<p class="hint" id="channels-hint">Separated by commas. For names with commas or spaces around them: a JSON array.</p>
</form>
<label for="token">Token</label>
<textarea id="token" rows="4" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="claims" placeholder="Mint one, or paste your app's. Change it by hand to see what happens."></textarea>
<p class="claims" id="claims"></p>
<button type="button" id="break">Break signature</button>
<p class="report" id="mint-report" role="status"></p>
</section>
<section aria-labelledby="connection-title">
<h2 id="connection-title"><span>2</span> Connect</h2>
<div class="row">
<button type="button" id="connect" class="primary">Connect</button>
<button type="button" id="authenticate">Authenticate</button>
<button type="button" id="reconnect">Reconnect</button>
<button type="button" id="close">Close</button>
</div>
<p class="hint">Connect and Reconnect authenticate with the token above, if there is one.</p>
<ul id="subscriptions" aria-label="Subscribed channels"></ul>
<p class="report" id="close-report" role="status"></p>
<form id="send">
<label for="frame">Send anything</label>
<div class="row">
<input id="frame" value='{"event":"ping"}' autocomplete="off" autocapitalize="off" spellcheck="false">
<button id="send-button">Send</button>
</div>
</form>
</section>
<section aria-labelledby="broadcast-title">
<h2 id="broadcast-title"><span>3</span> Broadcast</h2>
<form id="broadcast">
<label for="channel">Channel</label>
<input id="channel" value="user:1" autocomplete="off" autocapitalize="off" spellcheck="false">
<label for="message">Message</label>
<textarea id="message" rows="3" autocomplete="off" autocapitalize="off" spellcheck="false" enterkeyhint="send" aria-describedby="message-hint">{"event":"greeting","data":"Hello"}</textarea>
<div class="row">
<button class="primary">Broadcast</button>
<p class="hint" id="message-hint">A JSON object. Enter sends, Shift + Enter starts a line.</p>
</div>
</form>
<p class="report" id="broadcast-report" role="status"></p>
</section>
</div>
<section class="log" aria-labelledby="log-title">
<div class="row">
<h2 id="log-title">On the wire</h2>
<button type="button" id="clear">Clear</button>
</div>
<p class="hint" id="log-empty">Nothing yet. What you send and receive appears here.</p>
<ol id="log" role="log" tabindex="0" aria-labelledby="log-title"></ol>
</section>
</div>
<details>
<summary>Close codes and their meaning</summary>
<table>
<thead><tr><th scope="col">Code</th><th scope="col">Meaning</th><th scope="col">What to do</th></tr></thead>
<tbody id="close-codes">
${closeCodeRows()}
</tbody>
</table>
</details>
</main>`,
  };
}
