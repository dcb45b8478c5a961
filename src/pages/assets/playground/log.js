// The list of what was sent and received.
import { pretty } from './json.js';
import { add, copyText, counted, element } from './page.js';

const MAX_ENTRIES = 500;
/** Of all entries together: messages may have a megabyte each. */
const MAX_CHARACTERS = 8_000_000;
const PREVIEW = 300;
const ANNOUNCE_MS = 2000;
const ARROWS = { sent: '↑ sent', received: '↓ received', note: '• note' };
/** What a client that asks for positions gets a message in: the server writes these members in this order. */
const ENVELOPE =
  /^\{"event":"message","channel":("[^"\\]*(?:\\.[^"\\]*)*"),(?:"position":"[^"]*",)?"data":/;

/** Entry → its text, of all that are in the list. */
const texts = new Map();
let characters = 0;
let wanted = '';
let unannounced = 0;

/** Adds an entry and returns it; `bytes` is the size of a message. */
export function show(kind, text, bytes) {
  const entry = document.createElement('li');
  entry.dataset.kind = kind;
  const parent = kind === 'note' ? entry : add(entry, 'details', '', '');
  fillLine(kind === 'note' ? entry : add(parent, 'summary', '', ''), kind, text, bytes);

  const log = element('log');
  // Scrolls only if the end is in view: new entries must not move text that somebody is reading.
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  keep(entry, text);
  entry.hidden = !isWanted(text);
  element('entries').append(entry);
  if (follows) log.scrollTop = log.scrollHeight;
  element('log-empty').hidden = true;
  if (wanted !== '') showNumber();
  if (kind === 'received') announceSoon();
  return entry;
}

function fillLine(line, kind, text, bytes) {
  add(line, 'time', '', timeOf(new Date()));
  add(line, 'span', 'direction', ARROWS[kind]);
  const envelope = ENVELOPE.exec(text);
  const channel = envelope === null ? confirmedChannel(text) : JSON.parse(envelope[1]);
  if (channel !== undefined) add(line, 'span', 'tag', channel || '(the empty name)');
  const body = envelope === null ? text : text.slice(envelope[0].length, -1);
  add(line, kind === 'note' ? 'span' : 'code', 'preview', body.slice(0, PREVIEW));
  if (bytes !== undefined) add(line, 'span', 'size', sizeOf(bytes));
}

/** The channel that the server confirms with this frame; undefined if it does not. */
export function confirmedChannel(text) {
  if (!text.startsWith('{"event":"subscribed","data":"{')) return undefined;
  try {
    return JSON.parse(JSON.parse(text).data).channel;
  } catch {
    // An app's own event of this name.
    return undefined;
  }
}

/** Marks an entry with a word. */
export function tag(entry, word) {
  entry.querySelector('.direction').after(add(entry.querySelector('summary'), 'b', 'tag', word));
}

function keep(entry, text) {
  texts.set(entry, text);
  characters += text.length;
  for (const [oldest, { length }] of texts) {
    const fits = texts.size <= MAX_ENTRIES && characters <= MAX_CHARACTERS;
    if (fits || oldest === entry) break;
    texts.delete(oldest);
    characters -= length;
    oldest.remove();
  }
}

export function clearLog() {
  texts.clear();
  characters = 0;
  element('entries').textContent = '';
  element('log-empty').hidden = false;
  showNumber();
}

/** Shows only the entries that have this text in them, in whatever case. */
export function filterLog(text) {
  wanted = text.toLowerCase();
  for (const [entry, own] of texts) entry.hidden = !isWanted(own);
  showNumber();
}

function isWanted(text) {
  return wanted === '' || text.toLowerCase().includes(wanted);
}

function showNumber() {
  const shown = [...texts.keys()].filter(({ hidden }) => !hidden).length;
  element('shown').textContent = wanted === '' ? '' : `${shown} of ${texts.size}`;
}

/** Writes the whole text when an entry is opened, and removes it when it is closed. To listen to `toggle`. */
export function showWhole({ target }) {
  const entry = target.parentElement;
  const text = texts.get(entry);
  target.querySelector('.whole')?.remove();
  if (!target.open || text === undefined) return;
  const whole = add(target, 'div', 'whole', '');
  const button = add(whole, 'button', '', 'Copy');
  button.type = 'button';
  button.addEventListener('click', async () => {
    button.textContent = (await copyText(text)) ? 'Copied' : 'Not allowed to copy';
  });
  add(whole, 'pre', '', pretty(text));
}

/** Has what arrived read out, all of two seconds in one sentence. */
function announceSoon() {
  unannounced += 1;
  if (unannounced > 1) return;
  setTimeout(() => {
    element('announcement').textContent = `${counted(unannounced, 'frame')} received`;
    unannounced = 0;
  }, ANNOUNCE_MS);
}

function timeOf(date) {
  const two = (number) => String(number).padStart(2, '0');
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function sizeOf(bytes) {
  return bytes < 10000 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}
