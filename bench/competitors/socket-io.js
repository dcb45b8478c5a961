// The same job with Socket.IO: the token in the handshake's `auth`, a room per channel.
import { createSecretKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { Server } from 'socket.io';
import { createPostServer } from './post-server.js';

const { PORT, HOST, JWT_SECRET, RECOVERY } = process.env;
const key = createSecretKey(JWT_SECRET, 'utf8');

function verify(token) {
  return jwt.verify(token, key, { algorithms: ['HS512'] });
}

function broadcast(body) {
  const { channel, message } = verify(JSON.parse(body).token);
  io.to(channel).emit('message', message);
  return io.of('/').adapter.rooms.get(channel)?.size ?? 0;
}

/** Sends a message of its own to each user from `user:0` on, as an app does that has Socket.IO in its process. */
function emitToUsers(body) {
  const { users, message } = JSON.parse(body);
  for (let user = 0; user < users; user++) {
    io.to(`user:${user}`).emit('message', { ...message, user });
  }
  return users;
}

const server = createPostServer({ '/broadcast': broadcast, '/emit-to-users': emitToUsers });
const io = new Server(server, {
  transports: ['websocket'],
  serveClient: false,
  // With its defaults, Socket.IO keeps what was sent to a client that is away for two minutes.
  ...(RECOVERY === 'true' && { connectionStateRecovery: {} }),
});
io.use((socket, next) => {
  try {
    socket.data.channels = verify(socket.handshake.auth.token).channels;
    next();
  } catch {
    next(new Error('Not Authorized!'));
  }
});
io.on('connection', (socket) => socket.join(socket.data.channels));

server.listen(Number(PORT), HOST);
