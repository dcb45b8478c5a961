// What buttons and keys do.
import { broadcast, copySnippet, forgetFault } from './broadcast.js';
import { dropClient, startClient, stopClient } from './client.js';
import { clearLog, filterLog, showWhole } from './log.js';
import { element, report, setDisabled } from './page.js';
import { refreshCounters } from './server.js';
import {
  abandonSocket,
  authenticate,
  closeSocket,
  isOpen,
  openSocket,
  sendFrame,
  showSocket,
} from './socket.js';
import { showState } from './state.js';
import { breakSignature, keepTypedChannel, mintToken, showClaims } from './token.js';

const POLL_MS = 3000;

/** From scratch to subscribed. There is one connection at a time: the last one is closed. */
async function connect() {
  abandonSocket();
  await stopClient();
  if (element('with-client').checked) {
    await startClient();
    return;
  }
  showState('busy', 'Connecting…');
  if (await mintToken('connection-report')) openSocket('connection-report');
  else showState('idle', 'Not connected');
}

async function disconnect() {
  closeSocket();
  await stopClient();
}

async function openByHand() {
  await stopClient();
  element('with-socket').checked = true;
  openSocket('hand-report');
}

async function mintByHand() {
  if (!(await mintToken('mint-report'))) return;
  const next = isOpen() ? 'Minted. Authenticate with it.' : 'Minted. Now open the socket.';
  report('mint-report', 'good', '', next);
}

function isDisabled(id) {
  return element(id).getAttribute('aria-disabled') === 'true';
}

function onClick(id, action) {
  element(id).addEventListener('click', () => {
    if (!isDisabled(id)) action();
  });
}

function onSubmit(id, button, action) {
  element(id).addEventListener('submit', (event) => {
    event.preventDefault();
    if (!isDisabled(button)) action();
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

onSubmit('connection', 'connect', connect);
onClick('drop', dropClient);
onClick('disconnect', disconnect);
// Other channels need another token, and so another connection.
element('channels').addEventListener('input', () => setDisabled('connect', false));

onSubmit('broadcast', 'broadcast-button', broadcast);
onEnter('message', () => element('broadcast').requestSubmit());
element('message').addEventListener('input', forgetFault);
element('channel').addEventListener('input', keepTypedChannel);
for (const button of document.querySelectorAll('[data-language]')) {
  button.addEventListener('click', () => copySnippet(button.dataset.language));
}

onClick('mint', mintByHand);
onClick('break', breakSignature);
onClick('open', openByHand);
onClick('authenticate', authenticate);
onClick('ping', () => sendFrame('{"event":"ping"}'));
onClick('close', closeSocket);
onSubmit('send', 'send-button', () => sendFrame(element('frame').value));
onEnter('token', () => (isOpen() ? authenticate() : openByHand()));
element('token').addEventListener('input', showClaims);

element('filter').addEventListener('input', ({ target }) => filterLog(target.value));
element('entries').addEventListener('toggle', showWhole, true);
onClick('clear', clearLog);

showSocket('idle', 'Not connected');
showClaims();
setInterval(showClaims, 1000);
refreshCounters();
setInterval(refreshCounters, POLL_MS);
