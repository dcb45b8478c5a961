import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { VERSION } from '../../src/config/version.ts';
import { createListener } from '../../src/http/listener.ts';
import { DeliveryQueue } from '../../src/hub/delivery-queue.ts';
import { createParts } from '../../src/parts.ts';
import { createRoutes } from '../../src/routes.ts';
import { readDescription, type Schema, SchemaChecker } from '../support/api-description.ts';
import { BAD_CHANNELS } from '../support/bad-tokens.ts';
import { handshake } from '../support/handshake.ts';
import { ManualBus } from '../support/manual-bus.ts';
import { connectRaw } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { now, SECRET, sign } from '../support/tokens.ts';

interface Media {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

type Content = Readonly<Record<string, Media>>;

interface DescribedAnswer {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean; schema: Schema }>>;
  readonly content?: Content;
}

/** By status. */
type Answers = Readonly<Record<string, DescribedAnswer>>;

interface Operation {
  readonly requestBody?: { readonly content: Content };
  readonly responses: Answers;
}

interface OpenApi {
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly 'x-answers-to-any-request': Answers;
}

/** An answer that came. The names of its header fields are in lower case. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What an answer may have without a word: what the description cannot name, and what is said once for all of them. */
const COMMON_FIELDS = ['connection', 'content-length', 'content-type', 'date', 'keep-alive'];

const { source, whole } = readDescription('docs/openapi.yaml');
const description = whole as OpenApi;
const anyRequest = description['x-answers-to-any-request'];
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    operation,
  })),
);
const checker = new SchemaChecker();

for (const { name, operation } of operations) {
  expectContent(operation.requestBody?.content, `${name} body`);
  expectAnswers(operation.responses, name);
}
expectAnswers(anyRequest, 'any request');

function expectAnswers(answers: Answers, place: string): void {
  for (const [status, answer] of Object.entries(answers)) {
    checker.expect(answer, `${place} ${status}`);
    expectContent(answer.content, `${place} ${status}`);
    for (const [field, { schema }] of Object.entries(answer.headers ?? {})) {
      checker.expectAll(schema, `${place} ${status} ${field}`);
    }
  }
}

function expectContent(content: Content | undefined, place: string): void {
  for (const [type, { schema }] of Object.entries(content ?? {})) {
    checker.expectAll(schema, `${place} ${type}`);
  }
}

/** Throws unless the description has this answer to a request such as `GET /healthz`: status, fields and body. */
function check(request: string, answer: Answer): Answer {
  const { operation } = operations.find(({ name }) => name === request) ?? {};
  const described = [operation?.responses[answer.status], anyRequest[answer.status]].find((each) =>
    isBodyOf(answer, each),
  );
  if (described === undefined) {
    throw new Error(`not described: ${request} ${answer.status} ${answer.body.slice(0, 200)}`);
  }
  const place = `${request} ${answer.status}`;
  const { headers = {}, content = {} } = described;
  const fields = new Map(
    Object.entries(headers).map(([name, field]) => [name.toLowerCase(), field]),
  );
  for (const [name, { required, schema }] of fields) {
    const value = answer.headers[name];
    if (value === undefined) expect(required, `${place} without ${name}`).not.toBe(true);
    else checker.check(schema, schema['type'] === 'integer' ? Number(value) : value, place);
  }
  for (const name of Object.keys(answer.headers)) {
    if (!fields.has(name) && !COMMON_FIELDS.includes(name))
      throw new Error(`${place}: not described: ${name}`);
  }
  checker.saw(described);
  const media = content[answer.headers['content-type'] ?? ''];
  if (media !== undefined) checker.check(media.schema, contentOf(answer), place);
  return answer;
}

function isBodyOf(answer: Answer, described: DescribedAnswer | undefined): boolean {
  if (described === undefined) return false;
  if (described.content === undefined) return answer.body === '';
  const media = described.content[answer.headers['content-type'] ?? ''];
  return media !== undefined && checker.matches(media.schema, contentOf(answer));
}

function contentOf({ headers, body }: Answer): unknown {
  return headers['content-type'] === 'application/json' ? JSON.parse(body) : body;
}

/** Asks and checks the answer. */
async function ask({ url }: TestServer, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${url}${path}`, init);
  const { status } = response;
  const answer = {
    status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
  return check(`${init.method ?? 'GET'} ${path}`, answer);
}

/** Posts a body and checks the answer, and the body too if it is accepted. */
async function post(server: TestServer, body: unknown): Promise<Answer> {
  const answer = await ask(server, '/broadcast', { method: 'POST', body: JSON.stringify(body) });
  const media = description.paths['/broadcast']?.['post']?.requestBody?.content['application/json'];
  if (answer.status === 200) checker.check(media?.schema ?? {}, body, 'POST /broadcast body');
  return answer;
}

function publish(server: TestServer, claims: unknown): Promise<Answer> {
  return post(server, { token: sign(claims) });
}

/** Sends the text of a request and checks the answer to it, as one to `request`. */
async function write({ raw }: TestServer, text: string, request = text.split(' HTTP')[0] ?? '') {
  const connection = await raw();
  connection.write(text);
  return check(request, await connection.reply({ head: text.includes('If-None-Match') }));
}

describe('docs/openapi.yaml', () => {
  it('is valid', async () => {
    expect(await new Validator().validate(structuredClone(source))).toMatchObject({ valid: true });
    expect(description.info.version).toBe(VERSION);
    // The validator does say something where there is something.
    const broken = { ...source, paths: { '/': { get: { responses: { '200': {} } } } } };
    expect(await new Validator().validate(broken)).toMatchObject({ valid: false });
  });

  it('has examples that are as its schemas say', () => {
    const contents = operations.flatMap(({ name, operation }) =>
      [operation.requestBody, ...Object.values(operation.responses)].map((each) => ({
        name,
        each,
      })),
    );
    const examples = new SchemaChecker();
    for (const { name, each } of contents) {
      for (const { schema, examples: given = {} } of Object.values(each?.content ?? {})) {
        for (const { value } of Object.values(given)) examples.check(schema, value, name);
      }
    }
  });

  it('has every route of the server in production', () => {
    const config = loadConfig({ JWT_SECRET: SECRET, NODE_ENV: 'production', METRICS: 'true' });
    const { handlers } = createRoutes(createParts(config, pino({ level: 'silent' }), {}), {});
    expect(operations.map(({ name }) => name).toSorted()).toEqual(Object.keys(handlers).toSorted());
  });
});

describe('the answers of the server are those of docs/openapi.yaml', () => {
  it('to who looks at it', async () => {
    const server = await startServer({ METRICS: 'true', METRICS_TOKEN: 'sesame' });
    for (const path of ['/', '/info.json', '/healthz', '/position', '/client.js']) {
      expect((await ask(server, path)).status).toBe(200);
    }
    const modified = 'GET /client.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n';
    expect((await write(server, modified)).status).toBe(304);
    expect((await ask(server, '/metrics')).status).toBe(401);
    const headers = { Authorization: 'Bearer sesame' };
    expect((await ask(server, '/metrics', { headers })).status).toBe(200);
  });

  it('when something is switched off', async () => {
    const server = await startServer({ HISTORY: 'off' });
    for (const path of ['/position', '/metrics'])
      expect((await ask(server, path)).status).toBe(404);
  });

  it('while the broker is away', async () => {
    const bus = new ManualBus(true);
    const server = await startServer({}, undefined, { bus });
    for (const path of ['/healthz', '/position'])
      expect((await ask(server, path)).status).toBe(503);
    expect((await publish(server, { channel: 'a', message: {} })).status).toBe(503);
  });

  it('to broadcasts', async () => {
    const server = await startServer();
    await (await server.connect()).subscribe('a');
    const exp = now() + 60;
    const message = { event: 'greeting' };
    const batch = {
      broadcasts: [
        { channel: 'a', message, history: true },
        { channels: ['a', 'b'], message: '{"n":1}', history: false },
      ],
      jti: 'x',
      exp,
    };
    const accepted = [
      { channel: 'a', message },
      { channel: 'a', message: '{"n":1}', history: false, exp },
      batch,
      batch,
      {
        broadcasts: [
          { channel: '', message: '{}' },
          { channels: [''], message },
        ],
      },
    ];
    for (const claims of accepted) expect((await publish(server, claims)).status).toBe(200);
  });

  it('to broadcasts that not all nodes confirm in time', async () => {
    const bus = new ManualBus();
    const server = await startServer({}, undefined, { bus });
    await bus.comeUp();
    const single = publish(server, { channel: 'a', message: {} });
    const several = publish(server, { broadcasts: [{ channel: 'a', message: {} }] });
    while (bus.published.length === 0 || bus.batches.length === 0) await setImmediate();
    for (const { reach } of [...bus.published, ...bus.batches]) reach(1);
    // No node says how many it has counted, so both are answered at the deadline, after two seconds.
    for (const { status, body } of await Promise.all([single, several])) {
      expect([status, body]).toEqual([200, expect.stringContaining('"partial":true')]);
    }
  });

  it('to broadcasts that are at fault', async () => {
    const server = await startServer();
    const message = {};
    const long = 'x'.repeat(256);
    const claims = [
      { message },
      { channel: long, message },
      { channel: '\ud800', message },
      { channel: 'a' },
      { channel: 'a', message, history: 1 },
      { channel: 'a', message, broadcasts: [] },
      { broadcasts: [] },
      { broadcasts: [1] },
      { broadcasts: [{ message }] },
      { broadcasts: [{ channels: [], message }] },
      { broadcasts: [{ channel: 1, message }] },
      { broadcasts: [{ channels: [long], message }] },
      { broadcasts: [{ channels: ['\ud800'], message }] },
      { broadcasts: [{ channel: 'a' }] },
      { broadcasts: [{ channel: 'a', message, history: 1 }] },
      { broadcasts: [{ channels: Array(1_001).fill('a'), message }] },
      { broadcasts: [{ channel: 'a', message }], jti: '' },
    ];
    const bodies = [
      null,
      {},
      { token: 'garbage' },
      ...claims.map((each) => ({ token: sign(each) })),
    ];
    for (const body of bodies) expect((await post(server, body)).status).toBe(400);
  });

  it('to bodies that exceed a limit', async () => {
    const server = await startServer({ MAX_BODY_BYTES: '2000' });
    expect((await post(server, { token: 'x'.repeat(2_000) })).status).toBe(413);
    const chunked = 'POST /broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect((await write(server, chunked + '1\r\nx\r\n'.repeat(1_041))).status).toBe(413);

    const isFull = vi.spyOn(DeliveryQueue.prototype, 'isFull', 'get').mockReturnValue(true);
    onTestFinished(() => isFull.mockRestore());
    const broadcasts = [{ channel: 'a', message: {} }];
    expect((await publish(server, { broadcasts })).status).toBe(503);
  });

  it('to handshakes', async () => {
    const server = await startServer({
      ALLOWED_ORIGINS: 'https://example.com',
      COMPRESSION: 'true',
      MAX_CONNECTIONS: '2',
      TOKEN_AT_CONNECT: 'true',
      MAX_CHANNELS_PER_CONNECTION: '1',
    });
    const shake = async (status: number, headers: Record<string, string | undefined>) => {
      expect((await write(server, handshake({ headers }))).status).toBe(status);
    };
    const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
    await shake(101, { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    await shake(400, { 'Sec-WebSocket-Key': 'short' });
    await shake(400, { 'Sec-WebSocket-Protocol': 'a,,b' });
    await shake(403, { Origin: 'https://example.org' });
    await shake(426, { 'Sec-WebSocket-Version': '8' });
    await shake(426, { Upgrade: undefined });
    await shake(401, bearer('garbage'));
    for (const [, token] of BAD_CHANNELS) await shake(400, bearer(token));
    await shake(400, bearer(sign({ channels: ['a', 'b'] })));
    await shake(101, bearer(sign({ channels: ['a'] })));
    await shake(503, {});
  });

  it('while it is stopping', async () => {
    const server = await startServer({ DRAIN_SECONDS: '25' });
    const clients = [await server.connect(), await server.connect()];
    const stopped = server.server.close();
    await Promise.race(clients.map(({ closed }) => closed));
    expect((await ask(server, '/healthz')).status).toBe(503);
    expect((await write(server, handshake())).status).toBe(503);
    // It does not wait for who has gone.
    for (const { socket } of clients) socket.terminate();
    await stopped;
  });

  it('to requests of any kind', async () => {
    const server = await startServer();
    expect((await ask(server, '/nothing')).status).toBe(404);
    expect((await ask(server, '/broadcast')).status).toBe(405);
    expect((await ask(server, '/', { method: 'POST' })).status).toBe(405);
    const chunk = `1;${'x'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`;
    const requests: [number, string][] = [
      [400, 'GET / HTTP/1.1\r\nHost: x\r\n : \r\n\r\n'],
      [400, 'GET / HTTP/1.1\r\n\r\n'],
      [400, 'GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n'],
      [413, `POST /broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`],
      [417, 'GET / HTTP/1.1\r\nHost: x\r\nExpect: cake\r\n\r\n'],
      [431, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`],
    ];
    for (const [status, text] of requests) expect((await write(server, text)).status).toBe(status);
  });

  it('to a request that does not come whole in time', async () => {
    const { httpServer } = createListener({ tls: undefined, tokenAtConnect: false }, () => {});
    httpServer.listen(0, '127.0.0.1');
    onTestFinished(() => void httpServer.close());
    await once(httpServer, 'listening');
    // What Node emits after ten seconds without header fields.
    const late = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    httpServer.on('connection', (socket) => httpServer.emit('clientError', late, socket));
    const address = httpServer.address();
    const { port } = typeof address === 'object' && address !== null ? address : { port: 0 };
    expect(check('GET /', await (await connectRaw(port)).reply()).status).toBe(408);
  });

  it('when something is wrong with it', async () => {
    const createMetricsReader = () => async () => Promise.reject(new Error('broken on purpose'));
    const server = await startServer({ METRICS: 'true' }, undefined, { createMetricsReader });
    expect((await ask(server, '/metrics')).status).toBe(500);
  });

  it('and no more: each was seen above', () => {
    expect(checker.unseen).toEqual([]);
  });

  it('and no other', () => {
    const answer = { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' };
    expect(() => check('GET /info.json', answer)).toThrow(/not described/);
    const body = '{"status":"ok"}';
    const headers = { ...answer.headers, server: 'Bifröst' };
    expect(() => check('GET /healthz', { ...answer, body, headers })).toThrow(/described: server/);
    expect(() => check('GET /healthz', { ...answer, body, status: 201 })).toThrow(/not described/);
  });
});
