import { describe, expect, it } from 'vitest';
import { parsePosition } from '../../src/protocol/position.ts';
import { currentPosition } from '../support/positions.ts';
import { run, sampleFolder } from '../support/process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { RECOVERY_PAGE, snippet } from '../support/snippets.ts';
import { sign } from '../support/tokens.ts';

const POSITION = /[0-9A-Za-z]{8}\.[0-9]{1,16}/g;

describe('the conversation of docs/recovery.md', () => {
  /** Replaces the positions of this run by those of the page: each by one of its own. */
  const createTranslator = () => {
    const documentedOf = new Map<string, string>();
    const receivedOf = new Map<string, string>();
    return {
      toDocumented(received: string, documented: string) {
        const [position = '', place = ''] = [received, documented].map(
          (text) => text.match(POSITION)?.[0],
        );
        if (!documentedOf.has(position) && !receivedOf.has(place)) {
          documentedOf.set(position, place);
          receivedOf.set(place, position);
        }
        return received.replaceAll(POSITION, (found) => documentedOf.get(found) ?? found);
      },
      toReceived: (documented: string) =>
        documented.replaceAll(POSITION, (place) => receivedOf.get(place) ?? place),
    };
  };

  it('takes place as it is written', async () => {
    const server = await startServer();
    const { toDocumented, toReceived } = createTranslator();
    const token = sign({ channels: ['user:1', 'news'] });
    let client = await server.connect();
    for (const line of snippet('On the wire', 'text', RECOVERY_PAGE).trimEnd().split('\n')) {
      const rest = line.slice(2);
      const [, message, channel] = /^(\{.*\}) is broadcast on (\S+)$/.exec(rest) ?? [];
      if (line.startsWith('→ ')) client.send(toReceived(rest).replace('<JWT>', token));
      else if (line.startsWith('← '))
        expect(toDocumented(await client.nextText(), rest)).toBe(rest);
      else if (channel !== undefined) await server.broadcast(channel, JSON.parse(message ?? ''));
      else if (line === '· the connection breaks') client.socket.terminate();
      else if (line === '· the client connects again') client = await server.connect();
      else throw new Error(`no step of the conversation: ${line}`);
    }
    expect(client.waiting).toBe(0);
  });

  it('has positions that rise', () => {
    const conversation = snippet('On the wire', 'text', RECOVERY_PAGE);
    const positions = [...new Set(conversation.match(POSITION))];
    expect(positions).toHaveLength(5);
    expect(positions).toEqual(positions.toSorted());
  });
});

it('the fields of a handshake in docs/recovery.md say what an authenticate does', async () => {
  const server = await startServer({ TOKEN_AT_CONNECT: 'true' });
  const documented = snippet('A token at the handshake', 'text', RECOVERY_PAGE);
  const since = await currentPosition(server);
  await server.broadcast('a', { n: 1 });
  for (const [position, details] of [
    [since, { recovered: true, missed: 1, position: since }],
    ['now', { position: expect.any(String) }],
  ] as const) {
    const fields = documented
      .replace('<JWT>', sign({ channels: ['a'] }))
      .replace(POSITION, position)
      .trimEnd()
      .split('\n')
      .map((line) => line.split(': '));
    const client = await server.connect({ headers: Object.fromEntries(fields) });
    const { data } = (await client.next()) as { data: string };
    expect(JSON.parse(data)).toEqual({ channel: 'a', ...details });
  }
});

describe('the pages rendered on the server of docs/recovery.md', () => {
  /** Renders the page as the sample does, with a database that is read while something is broadcast. */
  const render = async (server: TestServer, url = server.url) => {
    const token = sign({ channel: 'a', message: { n: 2 } });
    const folder = await sampleFolder({
      'package.json': '{"type":"module"}',
      'render.js': snippet('Pages rendered on the server', 'js', RECOVERY_PAGE),
      'database.js': `
        export async function readItems() {
          const options = { method: 'POST', body: JSON.stringify({ token: '${token}' }) };
          await fetch('${server.url}/broadcast', options);
          return [1];
        }`,
      'app.js': `
        import { renderPage } from './render.js';
        console.log(await renderPage());`,
    });
    const node = { command: process.execPath, needs: 'Node' };
    const page = await run(node, ['app.js'], { cwd: folder, env: { BIFROST_URL: url } });
    expect(page).toContain('<li>1</li>');
    return JSON.parse(/let position = (.*);/.exec(page)?.[1] ?? '');
  };

  it('connect with the position from which on all comes to them', async () => {
    const server = await startServer();
    await server.broadcast('a', { n: 1 });
    const since = await render(server);
    const client = await server.connect();
    client.send({ event: 'authenticate', data: sign({ channels: ['a'] }), since });
    expect(await client.next()).toEqual({
      event: 'subscribed',
      data: JSON.stringify({ channel: 'a', recovered: true, missed: 1, position: since }),
    });
    expect(await client.next()).toMatchObject({ data: { n: 2 } });
  });

  it('are rendered without a history, and without a server', async () => {
    const server = await startServer({ HISTORY: 'off' });
    expect(await render(server)).toBeNull();
    // Nobody listens on port 1.
    expect(await render(server, 'http://127.0.0.1:1')).toBeNull();
  });

  it('get the answer that is shown there', async () => {
    const documented = snippet('Pages rendered on the server', 'text', RECOVERY_PAGE).trim();
    const answer = await (await fetch(`${(await startServer()).url}/position`)).text();
    expect(answer.replace(POSITION, '')).toBe(documented.replace(POSITION, ''));
  });
});

describe('what docs/recovery.md and SECURITY.md say of reading back', () => {
  it('is so: whoever may listen to a channel needs no position to read what was said before', async () => {
    const server = await startServer();
    await server.broadcast('a', { n: 1 });
    const secret = { channel: 'a', message: { n: 2 }, history: false };
    await server.post(JSON.stringify({ token: sign(secret) }));
    const [epoch] = (await currentPosition(server)).split('.');
    const client = await server.connect();
    client.send({ event: 'authenticate', data: sign({ channels: ['a'] }), since: `${epoch}.0` });
    expect(await client.next()).toMatchObject({ data: expect.stringContaining('"missed":1') });
    expect(await client.next()).toMatchObject({ channel: 'a', data: { n: 1 } });
  });
});

it('the pattern of a position in docs/recovery.md is that of the server', async () => {
  const [, pattern = ''] = /digits: `(\^.*\$)`/.exec(RECOVERY_PAGE.text) ?? [];
  const position = await currentPosition(await startServer());
  expect(position).toMatch(new RegExp(pattern));
  for (const text of [
    position,
    'abcdefg.1',
    'abcdefgh1',
    'abcdefgh.',
    `abcdefgh.${'1'.repeat(17)}`,
  ]) {
    expect(new RegExp(pattern).test(text), text).toBe(parsePosition(text) !== undefined);
  }
});
