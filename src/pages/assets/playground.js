// A module without imports, because the page's policy allows it by its hash. Text from the network goes into the page
// as text, never as markup; the policy forbids markup too.
const element = (id) => document.getElementById(id);
const subscribeUrl = `${location.origin.replace('http', 'ws')}/subscribe`;
const utf8 = new TextEncoder();

/* ---- The log ---- */

const MAX_ENTRIES = 500;
const LONG = 600;
const ARROWS = { sent: '↑ sent', received: '↓ received', note: '• note' };

function show(kind, text, bytes) {
  const entry = document.createElement('li');
  entry.dataset.kind = kind;
  add(entry, 'time', '', timeOf(new Date()));
  add(entry, 'span', 'direction', ARROWS[kind]);
  add(entry, 'span', 'size', bytes === undefined ? '' : sizeOf(bytes));
  if (text.length > LONG) {
    const details = document.createElement('details');
    add(details, 'summary', '', `${text.slice(0, 120)}…`);
    add(details, 'pre', 'text', text);
    entry.append(details);
  } else {
    add(entry, kind === 'note' ? 'p' : 'pre', 'text', text);
  }

  const log = element('log');
  // Scrolls only if the end is in view: new entries must not move text that somebody is reading.
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(entry);
  while (log.children.length > MAX_ENTRIES) log.firstElementChild.remove();
  if (follows) log.scrollTop = log.scrollHeight;
  element('log-empty').hidden = true;
}

function add(parent, tag, className, text) {
  const child = document.createElement(tag);
  if (className) child.className = className;
  child.textContent = text;
  parent.append(child);
  return child;
}

function timeOf(date) {
  const two = (number) => String(number).padStart(2, '0');
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function sizeOf(bytes) {
  return bytes < 10000 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}

function report(id, kind, title, text) {
  const box = element(id);
  box.dataset.kind = kind;
  box.textContent = '';
  if (title) add(box, 'strong', '', title);
  if (text) add(box, 'span', '', text);
}

/* ---- Asking the server ---- */

/** The JSON of the answer. Throws an error with the server's text when the server refuses. */
async function ask(path, body) {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  let response;
  let answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch {
    throw new Error('No answer from the server');
  }
  if (!response.ok) throw new Error(`${response.status} ${answer.error}`);
  return answer;
}

async function mint(claims) {
  return (await ask('/test/token', { claims })).token;
}

let isRefreshing = false;

async function refreshCounters() {
  // Messages can come faster than answers to this.
  if (isRefreshing) return;
  isRefreshing = true;
  try {
    const { stats } = await ask('/info.json');
    element('connected').textContent = stats.connected;
    element('deliveries').textContent = stats.deliveries;
  } catch {
    element('connected').textContent = '–';
    element('deliveries').textContent = '–';
  } finally {
    isRefreshing = false;
  }
}

let refreshing;
/** Refreshes now, and again after a second: the server notices a close, for one, later than the browser. */
function refreshSoon() {
  refreshCounters();
  clearTimeout(refreshing);
  refreshing = setTimeout(refreshCounters, 1000);
}

/* ---- 1. The token ---- */

/** The value of the channels field: names separated by commas, or any JSON array. */
function typedChannels() {
  const text = element('channels').value.trim();
  if (text.startsWith('[')) {
    try {
      return JSON.parse(text);
    } catch {
      throw new Error('This starts like a JSON array and is none');
    }
  }
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

let channelIsTyped = false;

async function mintToken() {
  try {
    const channels = typedChannels();
    setToken(await mint({ channels }));
    report(
      'mint-report',
      'good',
      '',
      isOpen() ? 'Minted. Authenticate with it.' : 'Minted. Now connect.',
    );
    if (!channelIsTyped && typeof channels[0] === 'string') element('channel').value = channels[0];
  } catch (error) {
    report('mint-report', 'bad', 'No token', error.message);
  }
}

function setToken(token) {
  element('token').value = token;
  showClaims();
}

function claimsOf(token) {
  const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
}

/** Shows the token's claims in words. Only the server can tell whether the token is genuine. */
function showClaims() {
  const token = element('token').value.trim();
  let text = '';
  if (token !== '') {
    try {
      const claims = claimsOf(token);
      text = `Claims ${JSON.stringify(claims)}${lifetimeOf(claims.exp)}`;
    } catch {
      text = 'Its claims cannot be read: the server will refuse it.';
    }
  }
  // Writing the same text again would remove the user's selection in it.
  if (element('claims').textContent !== text) element('claims').textContent = text;
  setDisabled('break', token === '');
}

function lifetimeOf(exp) {
  if (typeof exp !== 'number') return '';
  const seconds = Math.round(exp - Date.now() / 1000);
  return seconds >= 0 ? `, good for ${seconds} s` : `, expired ${-seconds} s ago`;
}

function breakSignature() {
  const token = element('token').value.trim();
  if (token === '') return;
  const start = token.lastIndexOf('.') + 1;
  const other = token[start] === 'A' ? 'B' : 'A';
  setToken(token.slice(0, start) + other + token.slice(start + 1));
  report(
    'mint-report',
    'bad',
    '',
    'Changed the first character of the signature. Authenticate to see what happens.',
  );
}

/* ---- 2. The connection ---- */

let socket;
let isComingBack = false;
const subscribed = new Set();

function isOpen() {
  return socket !== undefined && socket.readyState === WebSocket.OPEN;
}

function connect() {
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
    show('received', event.data, utf8.encode(event.data).length);
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

function authenticate() {
  if (!isOpen()) return;
  report('mint-report', '', '', '');
  sendFrame(JSON.stringify({ event: 'authenticate', data: element('token').value.trim() }));
}

function sendFrame(text) {
  socket.send(text);
  show('sent', text, utf8.encode(text).length);
}

function close() {
  isComingBack = false;
  if (socket === undefined || socket.readyState === WebSocket.CLOSING) return;
  socket.close(1000);
  showState('busy', 'Closing…');
}

function reconnect() {
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

function showState(state, text) {
  element('state').dataset.state = state;
  element('state').textContent = text;
  setDisabled('connect', socket !== undefined);
  setDisabled('authenticate', !isOpen());
  setDisabled('close', socket === undefined || socket.readyState === WebSocket.CLOSING);
  setDisabled('send-button', !isOpen());
}

/** Sets `aria-disabled`: a button with `disabled` would lose the keyboard's focus. */
function setDisabled(id, isDisabled) {
  element(id).setAttribute('aria-disabled', String(isDisabled));
}

/* ---- 3. The broadcast ---- */

async function broadcast() {
  const channel = element('channel').value;
  // As a string, which the server delivers unchanged. An object would be serialised anew for the token.
  const message = element('message').value.trim();
  try {
    const token = await mint({ channel, message });
    const { deliveries } = await ask('/broadcast', { token });
    const sockets = deliveries === 1 ? '1 socket' : `${deliveries} sockets`;
    report(
      'broadcast-report',
      'good',
      `Delivered to ${sockets}`,
      deliveries === 0 ? 'Nobody is subscribed to this channel.' : '',
    );
  } catch (error) {
    report('broadcast-report', 'bad', 'Not delivered', error.message);
  }
  refreshSoon();
}

/* ---- Buttons and keys ---- */

function onSubmit(id, action) {
  element(id).addEventListener('submit', (event) => {
    event.preventDefault();
    action();
  });
}

/** Enter runs the action, Shift + Enter starts a line. While an input method composes a word, Enter belongs to it. */
function onEnter(id, action) {
  element(id).addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    action();
  });
}

onSubmit('mint', mintToken);
onSubmit('send', () => {
  if (isOpen()) sendFrame(element('frame').value);
});
onSubmit('broadcast', broadcast);
onEnter('token', () => (isOpen() ? authenticate() : connect()));
onEnter('message', () => element('broadcast').requestSubmit());
element('token').addEventListener('input', showClaims);
element('channel').addEventListener('input', () => {
  channelIsTyped = true;
});
element('break').addEventListener('click', breakSignature);
element('connect').addEventListener('click', connect);
element('authenticate').addEventListener('click', authenticate);
element('reconnect').addEventListener('click', reconnect);
element('close').addEventListener('click', close);
element('clear').addEventListener('click', () => {
  element('log').textContent = '';
  element('log-empty').hidden = false;
});

showState('idle', 'Not connected');
showClaims();
setInterval(showClaims, 1000);
refreshCounters();
