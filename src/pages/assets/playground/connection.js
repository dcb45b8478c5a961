// The websocket.
import { show } from './log.js';
import { add, element, report, setDisabled } from './page.js';
import { refreshSoon } from './server.js';

export const subscribeUrl = `${location.origin.replace('http', 'ws')}/subscribe`;
const utf8 = new TextEncoder();

export function sizeInBytes(text) {
  return utf8.encode(text).length;
}

let socket;
let isComingBack = false;
const subscribed = new Set();

export function isOpen() {
  return socket !== undefined && socket.readyState === WebSocket.OPEN;
}

export function connect() {
  if (socket !== undefined) return;
  const current = new WebSocket(subscribeUrl);
  socket = current;
  report('close-report', '', '', '');
  markLatest(undefined);
  showState('busy', 'Connecting…');

  current.addEventListener('open', () => {
    show('note', `Connected to ${subscribeUrl}`);
    showState('open', 'Connected, not authenticated');
    if (element('token').value.trim() !== '') authenticate();
  });
  current.addEventListener('message', (event) => {
    if (typeof event.data !== 'string') {
      show('received', 'A binary message', event.data.size);
      return;
    }
    show('received', event.data, sizeInBytes(event.data));
    noticeSubscription(event.data);
    refreshSoon();
  });
  current.addEventListener('close', (event) => {
    socket = undefined;
    subscribed.clear();
    showSubscriptions();
    showClose(event.code, event.reason);
    refreshSoon();
    if (isComingBack) {
      isComingBack = false;
      connect();
    }
  });
}

export function authenticate() {
  if (!isOpen()) return;
  report('mint-report', '', '', '');
  sendFrame(JSON.stringify({ event: 'authenticate', data: element('token').value.trim() }));
}

export function sendFrame(text) {
  socket.send(text);
  show('sent', text, sizeInBytes(text));
}

export function close() {
  isComingBack = false;
  if (socket === undefined || socket.readyState === WebSocket.CLOSING) return;
  socket.close(1000);
  showState('busy', 'Closing…');
}

export function reconnect() {
  if (socket === undefined) {
    connect();
    return;
  }
  close();
  isComingBack = true;
}

function noticeSubscription(text) {
  try {
    const message = JSON.parse(text);
    if (message.event !== 'subscribed') return;
    subscribed.add(JSON.parse(message.data).channel);
  } catch {
    // Some other message.
    return;
  }
  showSubscriptions();
  const count = subscribed.size;
  showState('subscribed', `Subscribed to ${count}${count === 1 ? ' channel' : ' channels'}`);
}

function showSubscriptions() {
  const list = element('subscriptions');
  list.textContent = '';
  for (const channel of subscribed)
    add(list, 'li', '', channel === '' ? '(the empty name)' : channel);
}

/** The table row of this code and reason, or else the first of the code. */
function rowOf(code, reason) {
  const rows = [...element('close-codes').rows].filter((row) => row.dataset.code === String(code));
  return rows.find((row) => row.dataset.reason === reason) ?? rows[0];
}

function showClose(code, reason) {
  const title = reason === '' ? String(code) : `${code} ${reason}`;
  const row = rowOf(code, reason);
  const cells = row === undefined ? [] : [...row.cells].slice(1).map((cell) => cell.textContent);
  show('note', `Closed: ${title}`);
  report(
    'close-report',
    code === 1000 ? '' : 'bad',
    title,
    cells.join(' ') || 'Not a code of this server.',
  );
  markLatest(row);
  showState(code === 1000 ? 'idle' : 'closed', `Closed with ${code}`);
}

function markLatest(latest) {
  for (const row of element('close-codes').rows) row.classList.toggle('latest', row === latest);
}

export function showState(state, text) {
  element('state').dataset.state = state;
  element('state').textContent = text;
  setDisabled('connect', socket !== undefined);
  setDisabled('authenticate', !isOpen());
  setDisabled('close', socket === undefined || socket.readyState === WebSocket.CLOSING);
  setDisabled('send-button', !isOpen());
}
