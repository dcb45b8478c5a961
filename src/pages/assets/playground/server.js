// What the page asks the server by HTTP.
import { element } from './page.js';

const REFRESH_MS = 1000;
const utf8 = new TextEncoder();

export const subscribeUrl = `${location.origin.replace('http', 'ws')}/subscribe`;

export function sizeInBytes(text) {
  return utf8.encode(text).length;
}

/** The JSON of the answer. Throws an error with the server's text when the server refuses. */
export async function ask(path, body) {
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

export async function mint(claims) {
  // The query string has the key of this page, where it needs one.
  return (await ask(`/test/token${location.search}`, { claims })).token;
}

let isRefreshing = false;

export async function refreshCounters() {
  // The page may be asked to more often than answers come.
  if (isRefreshing || document.hidden) return;
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
export function refreshSoon() {
  if (refreshing !== undefined) return;
  refreshCounters();
  refreshing = setTimeout(() => {
    refreshing = undefined;
    refreshCounters();
  }, REFRESH_MS);
}
