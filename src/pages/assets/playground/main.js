// The broadcast, and what buttons and keys do.
import { closeClient, connectClient, dropClient } from './client.js';
import {
  authenticate,
  close,
  connect,
  isOpen,
  reconnect,
  sendFrame,
  showState,
} from './connection.js';
import { element, report } from './page.js';
import { ask, mint, refreshCounters, refreshSoon } from './server.js';
import { breakSignature, keepTypedChannel, mintToken, showClaims } from './token.js';

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
element('channel').addEventListener('input', keepTypedChannel);
element('break').addEventListener('click', breakSignature);
element('connect').addEventListener('click', connect);
element('authenticate').addEventListener('click', authenticate);
element('reconnect').addEventListener('click', reconnect);
element('close').addEventListener('click', close);
element('client-connect').addEventListener('click', connectClient);
element('client-drop').addEventListener('click', dropClient);
element('client-close').addEventListener('click', closeClient);
element('clear').addEventListener('click', () => {
  element('log').textContent = '';
  element('log-empty').hidden = false;
});

showState('idle', 'Not connected');
showClaims();
setInterval(showClaims, 1000);
refreshCounters();
