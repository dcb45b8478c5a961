// A websocket broadcast server as people write it: the secret a string, one `ws.send` per subscriber.
import jwt from 'jsonwebtoken';
import { WebSocketServer } from 'ws';
import { createPostServer } from './post-server.js';

const { PORT, HOST, JWT_SECRET, COMPRESSION } = process.env;

/** Channel → its sockets. */
const channels = new Map();

function verify(token) {
  return jwt.verify(token, JWT_SECRET, { algorithms: ['HS512'] });
}

function broadcast(body) {
  const { channel, message } = verify(JSON.parse(body).token);
  const text = JSON.stringify(message);
  let deliveries = 0;
  for (const socket of channels.get(channel) ?? []) {
    if (socket.readyState !== socket.OPEN) continue;
    socket.send(text);
    deliveries++;
  }
  return deliveries;
}

const server = createPostServer({ '/broadcast': broadcast });

function subscribe(socket, channel) {
  if (!channels.has(channel)) channels.set(channel, new Set());
  channels.get(channel).add(socket);
  socket.on('close', () => channels.get(channel).delete(socket));
  socket.send(JSON.stringify({ event: 'subscribed', data: JSON.stringify({ channel }) }));
}

const perMessageDeflate = COMPRESSION === 'true';
const sockets = new WebSocketServer({ server, path: '/subscribe', perMessageDeflate });
sockets.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', (data) => {
    try {
      const { event, data: token } = JSON.parse(data.toString());
      if (event !== 'authenticate') return;
      for (const channel of verify(token).channels) subscribe(socket, channel);
    } catch {
      socket.close(4401, 'Not Authorized!');
    }
  });
});

server.listen(Number(PORT), HOST);
