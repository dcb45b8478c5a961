import { describe, expect, it } from 'vitest';
import { startServer } from '../support/server.ts';
import { sign } from '../support/tokens.ts';

describe('GET /', () => {
  it('says which server is running here', async () => {
    const { url } = await startServer();
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(await response.text()).toContain('Bifröst is an open source websocket server');
  });
});

describe('GET /info.json', () => {
  it('answers exactly the two counters', async () => {
    const { url } = await startServer();
    const response = await fetch(`${url}/info.json`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.text()).toBe('{"stats":{"deliveries":0,"connected":0}}');
  });

  it('counts subscribed sockets per channel, and messages and confirmations but no pong', async () => {
    const { connect, broadcast, stats } = await startServer();
    const alice = await connect();
    await alice.ping();
    expect(await stats()).toEqual({ deliveries: 0, connected: 0 });

    await alice.subscribe('a', 'b');
    expect(await stats()).toEqual({ deliveries: 2, connected: 2 });

    // A second authentication is confirmed and counted again, and adds nothing.
    await alice.subscribe('a');
    const bob = await (await connect()).subscribe('a');
    expect(await stats()).toEqual({ deliveries: 4, connected: 3 });

    await broadcast('a', {});
    expect(await stats()).toEqual({ deliveries: 6, connected: 3 });

    alice.socket.close();
    await alice.closed;
    expect(await stats()).toEqual({ deliveries: 6, connected: 1 });
    bob.socket.terminate();
  });
});

describe('every route', () => {
  it.each(['/', '/info.json', '/info.json/', '/info.json?a=1', '/info.json/?a=/', '/?x'])(
    'GET %s is found and HEAD is the same without a body',
    async (path) => {
      const { raw } = await startServer();
      const connection = await raw();
      const get = await connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).reply();
      expect(get.status).toBe(200);

      connection.write(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      const head = await connection.reply({ head: true });
      expect(head.status).toBe(200);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
      // What comes next is the next answer, so no body came with the last.
      connection.write('GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n');
      expect((await connection.reply()).status).toBe(404);
    },
  );

  it('accepts a request target in absolute form', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write('GET http://example.com/info.json HTTP/1.1\r\nHost: example.com\r\n\r\n');
    expect((await connection.reply()).body).toBe('{"stats":{"deliveries":0,"connected":0}}');
  });

  it('POST /broadcast/ takes one trailing slash and a query string', async () => {
    const { url } = await startServer();
    const body = JSON.stringify({ token: sign({ channel: 'a', message: {} }) });
    for (const path of ['/broadcast/', '/broadcast?a', '/broadcast/?a=b']) {
      expect((await fetch(url + path, { method: 'POST', body })).status).toBe(200);
    }
  });

  it.each([
    ['POST', '/', 'GET, HEAD'],
    ['DELETE', '/info.json', 'GET, HEAD'],
    ['GET', '/broadcast', 'POST'],
    ['PUT', '/broadcast', 'POST'],
    ['OPTIONS', '/broadcast', 'POST'],
    ['POST', '/subscribe', 'GET, HEAD'],
    ['POST', '/healthz', 'GET, HEAD'],
  ])('%s %s is answered 405 with Allow: %s', async (method, path, allow) => {
    const { url } = await startServer();
    const response = await fetch(url + path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allow);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.text()).toBe('{"error":"Method not allowed"}');
  });

  it.each(['/broadcast', '/test/token'])('HEAD %s is answered 405 without a body', async (path) => {
    const { url } = await startServer({ NODE_ENV: 'development' });
    const response = await fetch(url + path, { method: 'HEAD' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
    expect(response.headers.get('content-length')).toBe('30');
    expect(await response.text()).toBe('');
  });

  it.each([
    ['GET', '/nowhere'],
    ['POST', '/nowhere'],
    ['GET', '/test'],
    ['GET', '/ping?channel=user:1&message=hi'],
    ['GET', '/broadcast/x'],
    ['GET', '/info.json//'],
    ['GET', '/constructor'],
    ['GET', '/__proto__'],
  ])('%s %s is answered 404', async (method, path) => {
    const { url } = await startServer();
    const response = await fetch(url + path, { method });
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('content-length')).toBe('21');
    expect(await response.text()).toBe('{"error":"Not found"}');
  });

  it.each(['', '/'])('GET /subscribe%s without an upgrade is answered 426', async (slash) => {
    const { url } = await startServer();
    const response = await fetch(`${url}/subscribe${slash}`);
    expect(response.status).toBe(426);
    expect(response.headers.get('upgrade')).toBe('websocket');
    expect(await response.text()).toBe('{"error":"Upgrade required"}');
  });

  it('GET /subscribe with Connection: close is answered 426 and closed', async () => {
    const { raw } = await startServer();
    const connection = await raw();
    connection.write('GET /subscribe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect((await connection.reply()).headers['connection']).toBe('Upgrade, close');
    await connection.ended;
  });

  it('sends no CORS fields and no Server or X-Powered-By', async () => {
    const { url } = await startServer();
    for (const path of ['/', '/info.json', '/broadcast', '/nowhere']) {
      const { headers } = await fetch(url + path, { headers: { Origin: 'https://example.com' } });
      const names = [...headers.keys()];
      expect(names.filter((name) => /^access-control|^server$|^x-powered-by$/.test(name))).toEqual(
        [],
      );
    }
  });

  it('answers a request whose upgrade it ignores, body and all', async () => {
    // What Java's HttpClient sends with every plain request.
    const { raw, connect } = await startServer();
    const client = await (await connect()).subscribe('a');
    const connection = await raw();
    const body = JSON.stringify({ token: sign({ channel: 'a', message: { n: 1 } }) });
    const head =
      'POST /broadcast HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n' +
      `Host: x\r\nHTTP2-Settings: AAEAAEAA\r\nContent-Length: ${body.length}\r\n\r\n`;

    // Whole, cut in the body, cut in the head, and again on the same connection.
    for (const cut of [0, head.length + 10, 20]) {
      connection.write((head + body).slice(0, cut)).write((head + body).slice(cut));
      expect(await connection.reply()).toMatchObject({
        status: 200,
        body: '{"message":"Success","deliveries":1}',
      });
      expect(await client.next()).toEqual({ n: 1 });
    }
  });
});
