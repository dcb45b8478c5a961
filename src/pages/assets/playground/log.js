// The list of what was sent and received.
import { add, element } from './page.js';

const MAX_ENTRIES = 500;
const LONG = 600;
const ARROWS = { sent: '↑ sent', received: '↓ received', note: '• note' };

/** Adds an entry; `bytes` is the size of a message. */
export function show(kind, text, bytes) {
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

function timeOf(date) {
  const two = (number) => String(number).padStart(2, '0');
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function sizeOf(bytes) {
  return bytes < 10000 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}
