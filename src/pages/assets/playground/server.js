// What the page asks the server by HTTP.
import { element } from './page.js';

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
export function refreshSoon() {
  refreshCounters();
  clearTimeout(refreshing);
  refreshing = setTimeout(refreshCounters, 1000);
}
