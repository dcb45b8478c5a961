// The client that the server delivers: it comes back by itself, and recovers what it missed.
import { show, tag } from './log.js';
import { counted, element, report, setDisabled } from './page.js';
import { refreshSoon, sizeInBytes, subscribeUrl } from './server.js';
import {
  count,
  forgetSubscriptions,
  markLatest,
  noticeFrame,
  reportClose,
  showState,
} from './state.js';
import { mintTyped } from './token.js';

const CLIENT_URL = '/client.js';
/** Long enough to broadcast something that is missed. */
const AWAY_MS = 5000;
/** What was missed comes in many frames. One sentence is written about all that came in this time. */
const TELL_MS = 100;
const BOX = 'connection-report';

let loading;
let isClientWanted = false;
let isConnected = false;
let clientSocket;
let lastClose;
let lastEntry;
let awayUntil = 0;
/** What is known of the time without a connection, the last one: since when, until when, and what was missed. */
let absence;
let isTelling = false;
let recovered = 0;
let gaps = 0;

/** Shows every frame, and can be dropped like a network. */
class DroppableWebSocket extends WebSocket {
  constructor(url) {
    super(url);
    clientSocket = this;
    // These run before the client's own, which are set later.
    this.addEventListener('message', ({ data }) => {
      lastEntry = show('received', data, sizeInBytes(data));
      noticeFrame(data);
      refreshSoon();
    });
    this.addEventListener('close', (event) => {
      lastClose = event;
      refreshSoon();
    });
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
    token: mintTyped,
    WebSocket: DroppableWebSocket,
  });
  client.onState((state, error) => showClientState(state, error, client.retryAt));
  client.onMessage(({ position, replayed }) => {
    count('messages');
    if (position) element('position').textContent = position;
    if (replayed) noticeReplay();
  });
  client.onGap(({ channels }) => noticeGap(channels));
  return client;
}

export async function startClient() {
  isClientWanted = true;
  element('facts').hidden = false;
  report(BOX, '', '', '');
  markLatest(undefined);
  showState('busy', 'Connecting…');
  try {
    loading ??= loadClient();
    const client = await loading;
    if (isClientWanted) client.connect();
  } catch {
    loading = undefined;
    report(BOX, 'bad', 'No client', `GET ${CLIENT_URL} did not deliver it.`);
    showState('closed', 'Not connected');
  }
}

/** Has the client close its connection, and stay away. */
export async function stopClient() {
  if (!isClientWanted) return;
  isClientWanted = false;
  showState('idle', 'Not connected');
  const client = await loading?.catch(() => undefined);
  client?.close();
}

/** Cuts the client's connection, and every one that it opens within the next seconds. */
export function dropClient() {
  awayUntil = Date.now() + AWAY_MS;
  clientSocket.close();
  const text = `The network is away for ${AWAY_MS / 1000} seconds. Broadcast something now.`;
  report(BOX, '', 'Connection dropped', text);
}

function showClientState(state, error, retryAt) {
  setDisabled('drop', state !== 'connected');
  if (state === 'connecting') {
    showState('busy', 'Connecting…');
  } else if (state === 'connected') {
    show('note', 'Connected');
    isConnected = true;
    report(BOX, '', '', '');
    if (absence !== undefined) {
      absence.until = Date.now();
      tellSoon();
    }
  } else {
    leave(error);
    if (state === 'waiting') showState('waiting', 'Waiting to connect again', retryAt);
    else showState(error ? 'closed' : 'idle', error?.message ?? 'Not connected');
  }
}

/** There is no connection any more, or still none. */
function leave(error) {
  const isDropped = Date.now() < awayUntil;
  if (!isDropped) show('note', error?.message ?? 'Closed');
  else if (isConnected) show('note', 'The network is away');
  forgetSubscriptions();
  if (isConnected) absence = { since: Date.now(), until: undefined, recovered: 0, gaps: [] };
  isConnected = false;
  // The user knows why, or did it himself.
  if (error === undefined || isDropped) return;
  if (error.code === undefined) report(BOX, 'bad', 'Not connected', error.message);
  else reportClose(BOX, error.code, lastClose.reason, 'bad');
}

function noticeReplay() {
  tag(lastEntry, 'recovered');
  recovered += 1;
  element('recovered').textContent = recovered;
  if (absence === undefined) return;
  absence.recovered += 1;
  tellSoon();
}

function noticeGap(channels) {
  show('note', `A gap on ${channels.join(', ')}: an app loads its state again`);
  gaps += 1;
  element('gaps').textContent = gaps;
  if (absence === undefined) return;
  absence.gaps.push(...channels);
  tellSoon();
}

function tellSoon() {
  if (isTelling) return;
  isTelling = true;
  setTimeout(tellAbsence, TELL_MS);
}

/** Says what the time without a connection has cost. */
function tellAbsence() {
  isTelling = false;
  const { since, until, recovered: number, gaps: lost } = absence;
  // It is away again.
  if (until === undefined) return;
  const away = `${((until - since) / 1000).toFixed(1)} s away`;
  const back = `${counted(number, 'message')} recovered`;
  if (lost.length > 0) {
    const rest = number > 0 ? ` ${back} on other channels.` : '';
    const text = `Something may be missing after ${away}: an app loads its state again.${rest}`;
    report(BOX, 'bad', `A gap on ${lost.join(', ')}`, text);
  } else if (number > 0) {
    report(BOX, 'good', back, `Each of them once and in order, after ${away}.`);
  } else {
    report(BOX, 'good', 'Nothing was missed', `Connected again after ${away}.`);
  }
}
