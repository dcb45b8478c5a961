// The second way to connect: the client that the server delivers.
import { sizeInBytes, subscribeUrl } from './connection.js';
import { show } from './log.js';
import { element, report, setDisabled } from './page.js';
import { mint, refreshSoon } from './server.js';
import { typedChannels } from './token.js';

const CLIENT_URL = '/client.js';
/** Long enough to broadcast something that is missed. */
const AWAY_MS = 5000;
const STATES = {
  idle: ['idle', 'Not started'],
  connecting: ['busy', 'Connecting…'],
  connected: ['subscribed', 'Connected'],
  waiting: ['busy', 'Waiting to connect again'],
  closed: ['closed', 'Closed'],
};

let loading;
let clientSocket;
let awayUntil = 0;
let received = 0;
let recovered = 0;
let gaps = 0;

/** Shows every frame, and can be dropped like a network. */
class DroppableWebSocket extends WebSocket {
  constructor(url) {
    super(url);
    clientSocket = this;
    this.addEventListener('message', ({ data }) => {
      show('received', data, sizeInBytes(data));
      refreshSoon();
    });
    this.addEventListener('close', refreshSoon);
    if (Date.now() < awayUntil) this.close();
  }

  send(text) {
    super.send(text);
    show('sent', text, sizeInBytes(text));
  }
}

async function loadClient() {
  const { BifrostClient } = await import(CLIENT_URL);
  const client = new BifrostClient(subscribeUrl, {
    // As an app does: a fresh token for every connection.
    token: () => mint({ channels: typedChannels() }),
    WebSocket: DroppableWebSocket,
  });
  client.onState(showClientState);
  client.onMessage(({ channel, position, replayed }) => {
    received += 1;
    if (replayed) recovered += 1;
    if (position) element('client-position').textContent = position;
    const when = replayed ? 'missed before' : 'live';
    show('note', `Client: a message on ${channel ?? 'an unknown channel'}, ${when}`);
    showCounts();
  });
  client.onGap(({ channels }) => {
    gaps += 1;
    show('note', `Client: a gap on ${channels.join(', ')}. An app loads its state again.`);
    showCounts();
  });
  return client;
}

export async function connectClient() {
  try {
    loading ??= loadClient();
    (await loading).connect();
  } catch {
    loading = undefined;
    report('client-report', 'bad', 'No client', `GET ${CLIENT_URL} did not deliver it.`);
  }
}

export function dropClient() {
  if (clientSocket?.readyState !== WebSocket.OPEN) return;
  awayUntil = Date.now() + AWAY_MS;
  clientSocket.close();
}

export async function closeClient() {
  (await loading)?.close();
}

function showClientState(state, error) {
  const [kind, text] = STATES[state];
  element('client-state').dataset.state = kind;
  element('client-state').textContent = text;
  report('client-report', error ? 'bad' : '', '', error?.message);
  show('note', `Client: ${state}`);
  setDisabled('client-connect', state === 'connecting' || state === 'connected');
  setDisabled('client-drop', state !== 'connected');
  setDisabled('client-close', state === 'idle' || state === 'closed');
}

function showCounts() {
  element('client-received').textContent = received;
  element('client-recovered').textContent = recovered;
  element('client-gaps').textContent = gaps;
}
