// The same job with Socket.IO: the token in the handshake's `auth`, a room per channel.
import { createSecretKey } from 'node:crypto';
import { createServer } from 'node:http';
import jwt from 'jsonwebtoken';
import { Server } from 'socket.io';

const { PORT, HOST, JWT_SECRET } = process.env;
const key = createSecretKey(JWT_SECRET, 'utf8');

function verify(token) {
  return jwt.verify(token, key, { algorithms: ['HS512'] });
}

function reply(response, status, body) {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
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

const routes = new Map([
  ['/broadcast', broadcast],
  ['/emit-to-users', emitToUsers],
]);

const server = createServer((request, response) => {
  const deliver = routes.get(request.url);
  if (request.method !== 'POST' || deliver === undefined) {
    reply(response, 404, { error: 'Not found' });
    return;
  }
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    try {
      reply(response, 200, { message: 'Success', deliveries: deliver(body) });
    } catch {
      reply(response, 400, { error: 'Bad signature' });
    }
  });
});

const io = new Server(server, { transports: ['websocket'], serveClient: false });
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
