// The state of the connection, whichever it is: what is subscribed, the wait before the next attempt, and why it closed.
import { confirmedChannel } from './log.js';
import { add, counted, element, report, setDisabled } from './page.js';

const TICK_MS = 100;

const subscribed = new Set();
const counts = { messages: 0, broadcasts: 0 };
let attemptAt;
let ticking;

/**
 * Shows the state; `kind` is idle, busy, open, subscribed, waiting or closed. `retryAt` is when the next attempt is due,
 * in milliseconds since 1970.
 */
export function showState(kind, text, retryAt) {
  element('state-box').dataset.state = kind;
  // A status that is written again is read out again.
  if (element('state').textContent !== text) element('state').textContent = text;
  const isUp = kind === 'busy' || kind === 'open' || kind === 'subscribed';
  setDisabled('connect', isUp);
  setDisabled('disconnect', !isUp && kind !== 'waiting');
  // The next step is the blue one.
  element('connect').classList.toggle('primary', !isUp);
  element('broadcast-button').classList.toggle('primary', isUp);

  clearInterval(ticking);
  attemptAt = retryAt;
  if (retryAt !== undefined) ticking = setInterval(showCountdown, TICK_MS);
  showCountdown();
}

/** Beside the status and not in it: nobody wants to have every tick read out. */
function showCountdown() {
  const seconds = Math.max(0, attemptAt - Date.now()) / 1000;
  element('countdown').textContent = attemptAt === undefined ? '' : `in ${seconds.toFixed(1)} s`;
}

/** Counts another message or broadcast of this page. */
export function count(name) {
  counts[name] += 1;
  element(name).textContent = counts[name];
}

/** To be called with every text received. True if it is a message, not an answer to this page. */
export function noticeFrame(text) {
  const channel = confirmedChannel(text);
  if (channel === undefined) return !text.startsWith('{"event":"pong"');
  subscribed.add(channel);
  showSubscriptions();
  return false;
}

export function forgetSubscriptions() {
  subscribed.clear();
  showSubscriptions();
}

function showSubscriptions() {
  const list = element('subscriptions');
  list.textContent = '';
  for (const channel of subscribed)
    add(list, 'li', '', channel === '' ? '(the empty name)' : channel);
  if (subscribed.size > 0) {
    showState('subscribed', `Subscribed to ${counted(subscribed.size, 'channel')}`);
  }
}

/** Says in the box why a connection was closed, and marks the code in the table; `kind` is that of the box. */
export function reportClose(box, code, reason, kind) {
  const title = reason === '' ? String(code) : `${code} ${reason}`;
  const rows = [...element('close-codes').rows].filter((row) => row.dataset.code === String(code));
  const row = rows.find(({ dataset }) => dataset.reason === reason) ?? rows[0];
  const cells = row === undefined ? [] : [...row.cells].slice(1).map((cell) => cell.textContent);
  report(box, kind, title, cells.join(' ') || 'Not a code of this server.');
  markLatest(row);
}

/** Marks the table row of the code that was seen last. */
export function markLatest(latest) {
  for (const row of element('close-codes').rows) row.classList.toggle('latest', row === latest);
}
