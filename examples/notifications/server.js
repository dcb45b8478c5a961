// A whole app in one file: people sign in, notify each other, and see it at once. Node's http, and nothing to install.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const { JWT_SECRET, BIFROST_URL = 'http://localhost:3000', PORT = '4000' } = process.env;
if (!JWT_SECRET) throw new Error("JWT_SECRET is not set: give this app the server's");

// --- Bifröst: what an app has to do for it ---

const base64url = (text) => Buffer.from(text).toString('base64url');

/** A token that lives for a minute. */
function sign(claims) {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const signed = `${base64url('{"alg":"HS512"}')}.${base64url(JSON.stringify({ ...claims, exp }))}`;
  return `${signed}.${createHmac('sha512', JWT_SECRET).update(signed).digest('base64url')}`;
}

async function broadcast(channel, message) {
  const response = await fetch(`${BIFROST_URL}/broadcast`, {
    method: 'POST',
    body: JSON.stringify({ token: sign({ channel, message }) }),
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
}

// --- The app's data: a real one has a database ---

const MAX_USERS = 1000;
const MAX_NOTIFICATIONS = 50;
const MAX_TEXT = 200;
/** User → their notifications, the newest first. */
const notifications = new Map();
/** Starts above those that pages may have of an earlier run. */
let lastId = Date.now();

function store(user, notification) {
  const newest = [notification, ...(notifications.get(user) ?? [])].slice(0, MAX_NOTIFICATIONS);
  notifications.delete(user);
  notifications.set(user, newest);
  if (notifications.size > MAX_USERS) notifications.delete(notifications.keys().next().value);
}

// --- Sessions: a signed cookie. Anyone may sign in with any name; a real app asks for a password ---

const sessionKey = randomBytes(32);
const signName = (name) => createHmac('sha256', sessionKey).update(name).digest('base64url');

function currentUser(request) {
  const [, name = '', signature = ''] =
    /(?:^|; )session=([a-z]+)\.([\w-]{43})(?:;|$)/.exec(request.headers.cookie ?? '') ?? [];
  const expected = signName(name);
  const isGenuine =
    signature.length === expected.length &&
    timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
  return isGenuine ? name : undefined;
}

const cookie = (value, more = '') => ({
  'Set-Cookie': `session=${value}; HttpOnly; SameSite=Strict; Path=/${more}`,
});

// --- What the page asks ---

const isName = (value) => typeof value === 'string' && /^[a-z]{1,20}$/.test(value);

const refuse = (status) => ({ status, body: {} });

/** Each gets the user who asks and the JSON of the body. All but /login need a user. */
const routes = {
  'POST /login'(_, { name }) {
    if (!isName(name)) return refuse(400);
    return { body: { name }, headers: cookie(`${name}.${signName(name)}`) };
  },
  'POST /logout': () => ({ body: {}, headers: cookie('', '; Max-Age=0') }),
  'POST /bifrost-token': (user) => ({ body: { token: sign({ channels: [`user:${user}`] }) } }),
  'GET /notifications': (user) => ({ body: { user, list: notifications.get(user) ?? [] } }),
  async 'POST /notify'(user, { to, text }) {
    if (!isName(to) || typeof text !== 'string' || text.length > MAX_TEXT) return refuse(400);
    lastId += 1;
    const notification = { id: lastId, from: user, text };
    // First stored, then broadcast: whoever reloads after a gap finds it.
    store(to, notification);
    try {
      await broadcast(`user:${to}`, { event: 'notification', data: notification });
    } catch (error) {
      console.error('Not broadcast:', error.message);
    }
    return { body: {} };
  },
};

const MAX_BODY_BYTES = 10_000;

async function readJson(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_BODY_BYTES) throw new Error('The body is too long');
  }
  return JSON.parse(text || '{}') ?? {};
}

async function answer(request) {
  const route = routes[`${request.method} ${request.url}`];
  if (route === undefined) return refuse(404);
  const user = currentUser(request);
  if (user === undefined && request.url !== '/login') return refuse(401);
  let body;
  try {
    body = await readJson(request);
  } catch {
    return refuse(400);
  }
  return route(user, body);
}

// --- The page ---

const websocketUrl = BIFROST_URL.replace('http', 'ws');
const template = readFileSync(new URL('page.html', import.meta.url), 'utf8')
  .replaceAll('{{bifrost}}', BIFROST_URL)
  .replaceAll('{{websocket}}', websocketUrl);

function sendPage(response) {
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' ${BIFROST_URL}`,
    `style-src 'nonce-${nonce}'`,
    'img-src data:',
    `connect-src 'self' ${websocketUrl}`,
  ];
  response
    .writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy.join('; '),
    })
    .end(template.replaceAll('{{nonce}}', nonce));
}

const server = createServer(async (request, response) => {
  if (request.url === '/') return sendPage(response);
  const { status = 200, headers, body } = await answer(request);
  response
    .writeHead(status, { 'Content-Type': 'application/json', ...headers })
    .end(JSON.stringify(body));
});
server.listen(Number(PORT), '127.0.0.1');
await once(server, 'listening');
console.log(`http://127.0.0.1:${server.address().port}/`);
