// The plain websocket.
import { show } from './log.js';
import { element, report, setDisabled } from './page.js';
import { refreshSoon, sizeInBytes, subscribeUrl } from './server.js';
import {
  count,
  forgetSubscriptions,
  markLatest,
  noticeFrame,
  reportClose,
  showState,
} from './state.js';

let socket;
/** Where the reason of its close is shown. */
let closeBox;

export function isOpen() {
  return socket !== undefined && socket.readyState === WebSocket.OPEN;
}

/** Opens a websocket, which authenticates if there is a token. Does nothing if there is one already. */
export function openSocket(box) {
  if (socket !== undefined) return;
  const current = new WebSocket(subscribeUrl);
  socket = current;
  closeBox = box;
  report(box, '', '', '');
  markLatest(undefined);
  showSocket('busy', 'Connecting…');

  // One that was abandoned has nothing to say any more.
  const listen = (name, listener) =>
    current.addEventListener(name, (event) => {
      if (socket === current) listener(event);
    });
  listen('open', () => {
    show('note', `Connected to ${subscribeUrl}`);
    showSocket('open', 'Connected, not authenticated');
    if (element('token').value.trim() !== '') authenticate();
  });
  listen('message', ({ data }) => {
    if (typeof data !== 'string') {
      show('received', 'A binary message', data.size);
      return;
    }
    show('received', data, sizeInBytes(data));
    if (noticeFrame(data)) count('messages');
    refreshSoon();
  });
  listen('close', ({ code, reason }) => {
    socket = undefined;
    forgetSubscriptions();
    show('note', `Closed: ${`${code} ${reason}`.trimEnd()}`);
    reportClose(box, code, reason, code === 1000 ? '' : 'bad');
    showSocket(code === 1000 ? 'idle' : 'closed', `Closed with ${code}`);
    refreshSoon();
  });
}

export function authenticate() {
  report('mint-report', '', '', '');
  sendFrame(JSON.stringify({ event: 'authenticate', data: element('token').value.trim() }));
}

export function sendFrame(text) {
  socket.send(text);
  show('sent', text, sizeInBytes(text));
}

export function closeSocket() {
  if (socket === undefined || socket.readyState === WebSocket.CLOSING) return;
  socket.close(1000);
  showSocket('busy', 'Closing…');
}

/** Closes it to make room for another connection. The page says nothing about its end. */
export function abandonSocket() {
  if (socket === undefined) return;
  const abandoned = socket;
  socket = undefined;
  abandoned.close(1000);
  report(closeBox, '', '', '');
  forgetSubscriptions();
  showSocket('idle', 'Not connected');
}

export function showSocket(state, text) {
  showState(state, text);
  setDisabled('open', socket !== undefined);
  for (const id of ['authenticate', 'ping', 'send-button']) setDisabled(id, !isOpen());
  setDisabled('close', socket === undefined || socket.readyState === WebSocket.CLOSING);
}
