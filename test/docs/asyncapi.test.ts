import { once } from 'node:events';
import specs from '@asyncapi/specs';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { VERSION } from '../../src/config/version.ts';
import { disconnects, protocolErrors } from '../../src/protocol/close-codes.ts';
import { readDescription, type Schema, SchemaChecker } from '../support/api-description.ts';
import { BAD_CHANNELS } from '../support/bad-tokens.ts';
import type { TestClient } from '../support/client.ts';
import { clientFrame } from '../support/client-frame.ts';
import { handshake } from '../support/handshake.ts';
import { ManualBus } from '../support/manual-bus.ts';
import { currentPosition } from '../support/positions.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { now, sign } from '../support/tokens.ts';

interface CloseCode {
  readonly code: number;
  readonly reason: string;
  readonly retry: string;
  readonly reload: boolean;
}

interface Message {
  readonly payload: Schema;
  readonly examples: readonly { readonly payload: unknown }[];
}

interface AsyncApi {
  readonly info: { readonly version: string };
  readonly channels: {
    readonly subscribe: {
      readonly address: string;
      readonly messages: Readonly<Record<string, Message>>;
      readonly bindings: { readonly ws: { readonly headers: Schema } };
      readonly 'x-close-codes': readonly CloseCode[];
    };
  };
  readonly operations: Readonly<
    Record<string, { readonly action: 'send' | 'receive'; readonly messages: { name: string }[] }>
  >;
}

const { source, whole } = readDescription('docs/asyncapi.yaml');
const { info, channels, operations } = whole as AsyncApi;
const { messages, bindings } = channels.subscribe;
const closeCodes = channels.subscribe['x-close-codes'];
const checker = new SchemaChecker();
for (const [name, { payload }] of Object.entries(messages)) checker.expectAll(payload, name);
checker.expectAll(bindings.ws.headers, 'handshake');
for (const each of closeCodes) checker.expect(each, `close ${each.code} ${each.reason}`);

/** Checks a frame in the direction that it goes: what clients send is received. */
function check(action: 'send' | 'receive', name: string, text: string): void {
  const names = Object.values(operations).flatMap((operation) =>
    operation.action === action ? operation.messages.map((message) => message.name) : [],
  );
  expect(names).toContain(name);
  checker.check(messages[name]?.payload ?? { not: {} }, JSON.parse(text), name);
}

/** Sends a frame that the description knows by this name. */
function say(client: TestClient, name: string, frame: object): TestClient {
  const text = JSON.stringify(frame);
  check('receive', name, text);
  return client.send(text);
}

/** Takes the next frame, which must be what the description says of this name. */
async function hear<T>(client: TestClient, name: string): Promise<T> {
  const text = await client.nextText();
  check('send', name, text);
  return JSON.parse(text);
}

function authenticate(client: TestClient, list: readonly string[], since?: string | null): void {
  say(client, 'authenticate', { event: 'authenticate', data: sign({ channels: list }), since });
}

async function ping(client: TestClient): Promise<{ data?: string }> {
  return hear(say(client, 'ping', { event: 'ping' }), 'pong');
}

/** The close frame that ended it must be in the list. */
async function hearClose({ closed }: Pick<TestClient, 'closed'>): Promise<CloseCode> {
  const { code, reason } = await closed;
  const described = closeCodes.find((each) => each.code === code && each.reason === reason);
  if (described === undefined) throw new Error(`not described: close ${code} ${reason}`);
  checker.saw(described);
  return described;
}

afterEach(() => {
  vi.useRealTimers();
});

/** Our own clock only: ws and the network keep theirs. */
function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
}

describe('docs/asyncapi.yaml', () => {
  it('is valid', () => {
    const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false });
    addFormats.default(ajv);
    const isValid = ajv.compile(specs.schemas['3.0.0'] as object);
    expect([isValid(source), isValid.errors]).toEqual([true, null]);
    expect(info.version).toBe(VERSION);
    // The schema does refuse something where there is something.
    expect(isValid({ ...source, channels: { subscribe: { adress: '/subscribe' } } })).toBe(false);
  });

  it('has examples that are as its schemas say', () => {
    const examples = new SchemaChecker();
    for (const [name, { payload, examples: given }] of Object.entries(messages)) {
      expect(given.length, name).toBeGreaterThan(0);
      for (const each of given) examples.check(payload, each.payload, name);
    }
  });

  it('has the close codes of the server, with what a client should do', () => {
    const known = Object.values({ ...disconnects, ...protocolErrors });
    const list = closeCodes.map(({ code, reason, retry, reload }) => ({
      code,
      reason,
      retry,
      reload,
    }));
    expect(list).toEqual(known);
  });

  it('says of each message who sends it', () => {
    const named = Object.values(operations).flatMap((each) =>
      each.messages.map(({ name }) => name),
    );
    expect([...new Set(named)].toSorted()).toEqual(Object.keys(messages).toSorted());
  });
});

describe('the frames of the server are those of docs/asyncapi.yaml', () => {
  it('on a plain connection', async () => {
    const server = await startServer();
    const client = await server.connect();
    await ping(client);
    say(client, 'other', { event: 'typing' });
    authenticate(client, ['a', 'b']);
    for (const _ of ['a', 'b']) await hear(client, 'subscribed');
    await server.broadcast('a', { event: 'greeting' });
    expect(await hear(client, 'broadcast')).toEqual({ event: 'greeting' });
    await ping(client);
  });

  it('on a positioned connection, and when it comes back', async () => {
    const server = await startServer();
    const client = await server.connect();
    authenticate(client, ['a', 'b'], null);
    for (const _ of ['a', 'b']) await hear(client, 'subscribed');
    await server.broadcast('a', { n: 1 });
    const { position } = await hear<{ position: string }>(client, 'envelope');
    await server.post(
      JSON.stringify({ token: sign({ channel: 'a', message: {}, history: false }) }),
    );
    expect(await hear(client, 'envelope')).not.toHaveProperty('position');
    expect(await ping(client)).toHaveProperty('data');
    client.socket.terminate();
    await server.broadcast('b', { n: 2 });

    const again = await server.connect();
    authenticate(again, ['a', 'b'], position);
    expect(await hear(again, 'subscribed')).toEqual({
      event: 'subscribed',
      data: '{"channel":"a","recovered":true,"missed":0}',
    });
    await hear(again, 'subscribed');
    expect(await hear(again, 'envelope')).toMatchObject({ channel: 'b', data: { n: 2 } });

    const lost = await server.connect();
    authenticate(lost, ['a'], 'no position');
    expect(await hear(lost, 'subscribed')).toMatchObject({
      data: expect.stringContaining('"recovered":false'),
    });
  });

  it('with a token at the handshake', async () => {
    const server = await startServer({ TOKEN_AT_CONNECT: 'true' });
    for (const id of ['now', '', await currentPosition(server)]) {
      const headers = {
        Authorization: `Bearer ${sign({ channels: ['a'], exp: now() + 60 })}`,
        'Last-Event-ID': id,
      };
      checker.check(bindings.ws.headers, headers, 'handshake');
      await hear(await server.connect({ headers }), 'subscribed');
    }
  });

  it('and a claim exp is a number of seconds', async () => {
    const { connect } = await startServer();
    const data = sign({ channels: ['a'], exp: now() + 60 });
    await hear(say(await connect(), 'authenticate', { event: 'authenticate', data }), 'subscribed');
  });

  it('and no other', async () => {
    expect(() => check('send', 'pong', '{"event":"pong","extra":1}')).toThrow(/pong: .*additional/);
    expect(() => check('send', 'subscribed', '{"event":"subscribed","data":"{}"}')).toThrow(
      /required property 'channel'/,
    );
    expect(() => check('send', 'ping', '{"event":"ping"}')).toThrow();
    const closed = Promise.resolve({ code: 4400, reason: 'Other' });
    await expect(hearClose({ closed })).rejects.toThrow('not described');
  });
});

describe('the close codes of the server are those of docs/asyncapi.yaml', () => {
  it.each<readonly [fault: string, code: number, text: string]>([
    ['what is no JSON', 4400, 'hello'],
    ['a since that is a number', 4400, '{"event":"authenticate","data":"","since":1}'],
    ['garbage for a token', 4401, '{"event":"authenticate","data":"garbage"}'],
    ...BAD_CHANNELS.map(
      ([fault, data, code]) =>
        [
          `channels that are ${fault}`,
          code,
          JSON.stringify({ event: 'authenticate', data }),
        ] as const,
    ),
    ['a message that is too long', 1009, 'x'.repeat(65_537)],
  ])('after %s', async (_, code, text) => {
    const { connect } = await startServer();
    expect(await hearClose((await connect()).send(text))).toMatchObject({ code });
  });

  it('after too many channels', async () => {
    const { connect } = await startServer({ MAX_CHANNELS_PER_CONNECTION: '1' });
    const client = (await connect()).authenticate(sign({ channels: ['a', 'b'] }));
    expect(await hearClose(client)).toMatchObject({ code: 4413 });
  });

  it.each([
    ['a broken frame', 1002, [clientFrame('{}', { masked: false })]],
    ['text that is not UTF-8', 1007, [clientFrame(Buffer.from([0xc3, 0x28]))]],
    [
      'too many fragments',
      1008,
      [clientFrame('{', { first: 0x01 }), ...Array(200).fill(clientFrame(' ', { first: 0x00 }))],
    ],
  ])('after %s', async (_, code, frames) => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write(Buffer.concat([Buffer.from(handshake()), ...frames]));
    await connection.reply();
    const frame = await connection.ended;
    const closed = { code: frame.readUInt16BE(2), reason: frame.subarray(4).toString() };
    expect(await hearClose({ closed: Promise.resolve(closed) })).toMatchObject({ code });
  });

  it('when nothing comes for too long', async () => {
    fakeClock();
    const { connect } = await startServer({
      ENFORCE_TOKEN_EXPIRY: 'true',
      AUTH_TIMEOUT_SECONDS: '12',
    });
    const stranger = await connect();
    const silent = await (await connect({ autoPong: false })).subscribe('a');
    const expiring = await connect();
    await expiring.authenticate(sign({ channels: ['a'], exp: now() + 10 })).nextText();
    vi.advanceTimersByTime(12_200);
    expect(await hearClose(expiring)).toMatchObject({ reason: 'Token expired' });
    expect(await hearClose(stranger)).toMatchObject({ reason: 'Authentication timeout' });
    const pinged = once(silent.socket, 'ping');
    vi.advanceTimersByTime(3_000);
    await pinged;
    vi.advanceTimersByTime(15_100);
    expect(await hearClose(silent)).toMatchObject({ reason: "Socket didn't respond to ping" });
  });

  it('when a client reads too slowly', async () => {
    const server = await startServer({ MAX_BODY_BYTES: '200000', MAX_BUFFERED_BYTES: '400000' });
    const client = await (await server.connect()).subscribe('a');
    client.socket.pause();
    while ((await server.stats()).connected === 1) {
      await server.broadcast('a', { text: 'x'.repeat(100_000) });
    }
    client.socket.resume();
    expect(await hearClose(client)).toMatchObject({ code: 4429 });
  });

  it('when the broker is lost, and when the server stops', async () => {
    const bus = new ManualBus();
    const server = await startServer({ ON_BROKER_LOSS: 'reconnect' }, undefined, { bus });
    await bus.comeUp();
    const client = await server.connect();
    bus.listener?.down();
    expect(await hearClose(client)).toMatchObject({ code: 1013 });
    await expectGoodbye(await startServer());
  });

  async function expectGoodbye({ server, connect }: TestServer): Promise<void> {
    const client = await connect();
    await server.close();
    expect(await hearClose(client)).toMatchObject({ code: 1001 });
  }
});

it('docs/asyncapi.yaml has nothing that was not seen above', () => {
  expect(checker.unseen).toEqual([]);
});
