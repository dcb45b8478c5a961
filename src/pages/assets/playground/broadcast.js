// The broadcast, and the code that does the same.
import { faultOf } from './json.js';
import { copyText, counted, element, report } from './page.js';
import { ask, mint, refreshSoon } from './server.js';
import { snippetFor } from './snippets.js';
import { count } from './state.js';
import { typedChannels } from './token.js';

/** The message as it is typed, or undefined after saying where it is wrong. */
function checkedMessage() {
  const field = element('message');
  const fault = faultOf(field.value);
  field.setAttribute('aria-invalid', String(fault !== undefined));
  if (fault === undefined) return field.value.trim();
  const { at, line, column, problem } = fault;
  // Shows the place when the field has the focus. Taking it would open the keyboard of a phone.
  field.setSelectionRange(at, at + 1);
  tell('bad', `Not JSON: line ${line}, column ${column}`, problem);
  return undefined;
}

/** Right at the button that was pressed, and in view. */
function tell(kind, title, text) {
  report('broadcast-report', kind, title, text);
  element('broadcast-report').scrollIntoView({ block: 'nearest' });
}

/** Removes what was said about a fault as soon as it is mended. */
export function forgetFault() {
  const field = element('message');
  if (field.getAttribute('aria-invalid') !== 'true' || faultOf(field.value)) return;
  field.setAttribute('aria-invalid', 'false');
  report('broadcast-report', '', '', '');
}

export async function broadcast() {
  // As a string, which the server delivers unchanged. An object would be serialised anew for the token.
  const message = checkedMessage();
  if (message === undefined) return;
  try {
    const token = await mint({ channel: element('channel').value, message });
    const { deliveries } = await ask('/broadcast', { token });
    count('broadcasts');
    const nobody = deliveries === 0 ? 'Nobody is subscribed to this channel now.' : '';
    tell(nobody ? '' : 'good', `Delivered to ${counted(deliveries, 'socket')}`, nobody);
  } catch (error) {
    tell('bad', 'Not delivered', error.message);
  }
  refreshSoon();
}

/** Shows the code that does what the forms do, and copies it. */
export async function copySnippet(language) {
  const message = checkedMessage();
  if (message === undefined) return;
  let code;
  try {
    const channels = typedChannels();
    code = snippetFor(language, { channel: element('channel').value, message, channels });
  } catch (error) {
    report('copy-report', 'bad', 'No code', error.message);
    return;
  }
  const box = element('snippet');
  box.textContent = code;
  box.hidden = false;
  if (await copyText(code)) {
    report('copy-report', 'good', 'Copied', '');
  } else {
    getSelection().selectAllChildren(box);
    report('copy-report', '', 'Copy it from here', 'The browser keeps its clipboard to itself.');
  }
  box.scrollIntoView({ block: 'nearest' });
}
