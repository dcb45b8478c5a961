// The token and its claims.
import { element, report, setDisabled } from './page.js';
import { mint } from './server.js';

/** The value of the channels field: names separated by commas, or any JSON array. */
export function typedChannels() {
  const text = element('channels').value.trim();
  if (text.startsWith('[')) {
    try {
      return JSON.parse(text);
    } catch {
      throw new Error('The channels start like a JSON array and are none');
    }
  }
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

let channelIsTyped = false;

/** From now on the field keeps the channel that was typed: minting a token leaves it alone. */
export function keepTypedChannel() {
  channelIsTyped = true;
}

/** A token for the channels that are typed. Throws an error that says what is wrong with them. */
export async function mintTyped() {
  const channels = typedChannels();
  const token = await mint({ channels });
  if (!channelIsTyped && typeof channels[0] === 'string') element('channel').value = channels[0];
  return token;
}

/** Puts a token for the typed channels into the field; what goes wrong is reported in the box. Resolves to its success. */
export async function mintToken(box) {
  try {
    setToken(await mintTyped());
    return true;
  } catch (error) {
    report(box, 'bad', 'No token', error.message);
    return false;
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
export function showClaims() {
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

export function breakSignature() {
  const token = element('token').value.trim();
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
