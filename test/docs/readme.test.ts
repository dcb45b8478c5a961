import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { COMMANDS } from '../../src/commands/commands.ts';
import { loadConfig } from '../../src/config/config.ts';
import { disconnects, protocolErrors, type Retry } from '../../src/protocol/close-codes.ts';
import { startBroadcastDouble } from '../support/broadcast-double.ts';
import { withoutPosition } from '../support/positions.ts';
import { run, sampleFolder, startNode, type Tool } from '../support/process.ts';
import { temporaryFolder } from '../support/program.ts';
import { startServer } from '../support/server.ts';
import { ARCHITECTURE_PAGE, README, README_PAGE, snippet, table } from '../support/snippets.ts';
import { SECRET, sign } from '../support/tokens.ts';

const NODE: Tool = { command: process.execPath, needs: 'Node' };
const SHELL: Tool = { command: 'sh', needs: 'a POSIX shell, sh' };
const CURL: Tool = { command: 'curl', needs: 'curl' };
const OPENSSL: Tool = { command: 'openssl', needs: 'openssl' };

/** How the docs say what the table of close codes says. */
const COME_BACK: Readonly<Record<Retry, readonly string[]>> = {
  soon: ['yes, after a random delay'],
  backoff: ['yes, with back-off'],
  'fresh-token': ['with a fresh token'],
  never: ['no', 'not unchanged'],
};

/** What an app is told to set. */
const appEnv = (url: string) => ({ JWT_SECRET: SECRET, BIFROST_URL: url });

describe('the quickstart of the README', () => {
  it.each(['npm ci && npm start', 'npm ci && npm test'])(
    'prints "%s" as a line to copy',
    (command) => {
      expect(README.split('\n')).toContain(command);
    },
  );

  it('names one way to make a secret, of 64 bytes that the server takes', () => {
    expect(README).toContain('`npx --no-install bifrost secret`');
    const printed = vi.spyOn(console, 'log').mockReturnValue();
    COMMANDS.get('secret')?.run([]);
    const [secret = ''] = printed.mock.calls[0] ?? [];
    expect(Buffer.byteLength(secret)).toBeGreaterThanOrEqual(64);
    expect(loadConfig({ JWT_SECRET: secret }).jwtSecret).toBe(secret);
  });
});

describe('the samples of the docs', { timeout: 30_000 }, () => {
  it('hand out a token in Node that the server takes, and none to a stranger', async () => {
    const { url, connect, broadcast } = await startServer();
    const folder = await sampleFolder({
      'package.json': '{"type":"module"}',
      'bifrost-token.js': snippet('1. Hand out tokens', 'js'),
      'session.js':
        "export const currentUser = async ({ headers }) => headers.cookie === 'user=1' ? { id: 1 } : undefined;",
      'app.js': `
        import { createServer } from 'node:http';
        import { bifrostToken } from './bifrost-token.js';
        const app = createServer(bifrostToken).listen(0, '127.0.0.1', () => console.log('port', app.address().port));
      `,
    });
    const port = await startNode(['app.js'], folder, appEnv(url));
    const ask = (headers: Record<string, string>) =>
      fetch(`http://127.0.0.1:${port}/bifrost-token`, { method: 'POST', headers });

    expect((await ask({})).status).toBe(401);

    const answer = await ask({ Cookie: 'user=1' });
    expect(answer.headers.get('content-type')).toBe('application/json');
    const { token } = (await answer.json()) as { token: string };
    const alice = (await connect()).authenticate(token);
    expect(await alice.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"user:1\\"}"}',
    );
    expect(await alice.nextText()).toBe(
      '{"event":"subscribed","data":"{\\"channel\\":\\"news\\"}"}',
    );
    await broadcast('user:1', { event: 'fence' });
    expect(await alice.next()).toEqual({ event: 'fence' });
  });

  it.each(['1. Hand out tokens', 'With plain requests', 'Many at once'])(
    'sign in Node with a key that is prepared once: %s',
    async (heading) => {
      const { url } = await startServer();
      const folder = await sampleFolder({
        'package.json': '{"type":"module"}',
        // Says of every signature whether its key is one, and whether it was seen before.
        'observe.js': `
          import { KeyObject } from 'node:crypto';
          import jwt from 'jsonwebtoken';
          const { sign } = jwt;
          let last;
          jwt.sign = (claims, key, options) => {
            console.log('signs with', key instanceof KeyObject ? 'a key,' : 'a text,', key === last ? 'the same' : 'another');
            last = key;
            return sign(claims, key, options);
          };
        `,
        'session.js': 'export const currentUser = async () => ({ id: 1 });',
        'sample.js': `import './observe.js';\n${snippet(heading, 'js')}`,
        'twice.js': `
          import * as sample from './sample.js';
          const response = { setHeader() {}, end() {} };
          for (const _ of [1, 2]) await (sample.bifrostToken ?? sample.broadcast)?.({}, response);
        `,
      });
      const printed = await run(NODE, ['twice.js'], { cwd: folder, env: appEnv(url) });
      expect(printed.match(/signs with .*/g)).toEqual(
        heading !== '1. Hand out tokens'
          ? ['signs with a key, another']
          : ['signs with a key, another', 'signs with a key, the same'],
      );
    },
  );

  it('broadcast from Node', async () => {
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1');
    const folder = await sampleFolder({ 'broadcast.mjs': snippet('With plain requests', 'js') });

    const printed = await run(NODE, ['broadcast.mjs'], { cwd: folder, env: appEnv(url) });

    expect(await alice.next()).toEqual({ event: 'greeting', data: 'Hello from Node' });
    expect(printed.trim()).toBe('1');
  });

  it('say in Node why a broadcast was refused', async () => {
    const { url } = await startServer();
    const folder = await sampleFolder({ 'broadcast.mjs': snippet('With plain requests', 'js') });
    const env = { ...appEnv(url), JWT_SECRET: 'another secret' };
    await expect(run(NODE, ['broadcast.mjs'], { cwd: folder, env })).rejects.toThrow(
      'Bifröst: Bad signature',
    );
  });

  it('broadcast from a shell with curl and openssl, and print the answer shown there', async () => {
    await run(CURL, ['--version']);
    await run(OPENSSL, ['version']);
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1');
    const folder = await sampleFolder({ 'broadcast.sh': snippet('With plain requests', 'sh') });

    const printed = await run(SHELL, ['broadcast.sh'], { cwd: folder, env: appEnv(url) });

    expect(await alice.next()).toEqual({ event: 'greeting', data: 'Hello from a shell' });
    expect(printed).toBe(snippet('With plain requests', 'text').trim());
  });

  it('publish with the package that the build makes', async () => {
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1');
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'node_modules'));
    await symlink(resolve('dist/bifrost-client'), join(folder, 'node_modules/bifrost-client'));
    await writeFile(join(folder, 'publish.mjs'), snippet('With the publisher', 'js'));

    const printed = await run(NODE, ['publish.mjs'], { cwd: folder, env: appEnv(url) });

    expect(await alice.next()).toEqual({ event: 'greeting', data: 'Hello from the publisher' });
    expect(await alice.next()).toEqual({ event: 'tick' });
    expect(printed.trim()).toBe('1');
  });

  it('are one app in the README, which hands out tokens and publishes', async () => {
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1');
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'node_modules'));
    await symlink(resolve('dist/bifrost-client'), join(folder, 'node_modules/bifrost-client'));
    const ask = `
      const { port } = app.address();
      const response = await fetch(\`http://127.0.0.1:\${port}/bifrost-token\`, { method: 'POST' });
      console.log((await response.json()).token);
      app.close();
      app.closeAllConnections();
    `;
    await writeFile(join(folder, 'app.mjs'), snippet('In your app', 'js', README_PAGE) + ask);

    const printed = await run(NODE, ['app.mjs'], {
      cwd: folder,
      env: { ...appEnv(url), PORT: '0' },
    });

    expect(await alice.next()).toEqual({ event: 'greeting', data: 'Hello' });
    const bob = (await connect()).authenticate(printed.trim());
    for (const channel of ['user:1', 'news']) {
      expect(await bob.next()).toEqual({ event: 'subscribed', data: JSON.stringify({ channel }) });
    }
  });

  it('show in the README lines of the page that a browser runs', () => {
    const lines = (text: string) => text.split('\n');
    const full = lines(snippet('With the client', 'html'));
    let at = -1;
    for (const line of lines(snippet('In the page', 'html', README_PAGE))) {
      at = full.findIndex((each, index) => index > at && each === line);
      expect(at, line).not.toBe(-1);
    }
  });

  it('install the package from the file that the build makes, not from a registry', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(snippet('With the publisher', 'text').trim()).toBe(
      `npm install ../bifrost/bifrost-client-${version}.tgz`,
    );
    expect(snippet('Install', 'text', README_PAGE)).toBe(snippet('With the publisher', 'text'));
    expect(snippet('Install', 'sh', README_PAGE)).toContain('npm pack ./dist/bifrost-client\n');
  });

  it('broadcast many messages from Node', async () => {
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1', 'news');
    const folder = await sampleFolder({ 'all.mjs': snippet('Many at once', 'js') });

    const printed = await run(NODE, ['all.mjs'], { cwd: folder, env: appEnv(url) });

    for (let n = 0; n < 2; n += 1) {
      expect(await alice.next()).toEqual({ event: 'greeting', data: 'Hello all from Node' });
    }
    expect(printed.trim()).toBe('[ 1, 1 ]');
  });

  it('post many messages from Node again when no answer comes, but not when they are refused', async () => {
    const double = await startBroadcastDouble((_, n) => (n === 0 ? 'cut after' : 'deliver'));
    const folder = await sampleFolder({ 'all.mjs': snippet('Many at once', 'js') });

    const env = appEnv(double.url);
    expect((await run(NODE, ['all.mjs'], { cwd: folder, env })).trim()).toBe('[ 1, 1 ]');
    expect(double.delivered.map(({ channel }) => channel)).toEqual(['user:1', 'news']);
    const [first, second] = double.posted;
    expect(second?.body).toBe(first?.body);

    const refused = run(NODE, ['all.mjs'], { cwd: folder, env: { ...env, JWT_SECRET: 'another' } });
    await expect(refused).rejects.toThrow('Bifröst: Bad signature');
    expect(double.posted).toHaveLength(2);
  });

  it('broadcast many messages from a shell, and print the answer shown there', async () => {
    const { url, connect } = await startServer();
    const alice = await (await connect()).subscribe('user:1', 'news');
    const folder = await sampleFolder({ 'all.sh': snippet('Many at once', 'sh') });

    const printed = await run(SHELL, ['all.sh'], { cwd: folder, env: appEnv(url) });

    for (let n = 0; n < 2; n += 1) {
      expect(await alice.next()).toEqual({ event: 'greeting', data: 'Hello all from a shell' });
    }
    expect(withoutPosition(printed)).toBe(withoutPosition(snippet('Many at once', 'text').trim()));
  });

  it('show the counters as /info.json has them after one subscription and one broadcast', async () => {
    await run(CURL, ['--version']);
    const { url, connect, broadcast } = await startServer();
    await (await connect()).subscribe('user:1');
    await broadcast('user:1', { event: 'greeting' });
    const folder = await sampleFolder({ 'info.sh': snippet('HTTP', 'sh') });

    const printed = await run(SHELL, ['info.sh'], { cwd: folder, env: appEnv(url) });

    expect(printed).toBe(snippet('HTTP', 'text').trim());
  });

  it('show a conversation over the websocket as it takes place', async () => {
    const { connect, broadcast } = await startServer();
    const alice = await connect();
    const lines = snippet('Websocket', 'text').trimEnd().split('\n');
    const [last = ''] = lines.splice(-1);

    for (const line of lines) {
      const text = line.slice(2);
      if (line.startsWith('→ ')) {
        alice.send(text.replace('<JWT>', sign({ channels: ['user:1', 'news'] })));
      } else {
        expect(`← ${await alice.nextText()}`).toBe(line);
      }
    }
    await broadcast('news', JSON.parse(last.slice(2)));
    expect(`← ${await alice.nextText()}`).toBe(last);
  });
});

describe('the tables of the docs', () => {
  it('have the rules of the linter for the rooms', () => {
    const rules = [...readFileSync('biome.json', 'utf8').matchAll(/"message": "([^"]*)"/g)];
    const rows = table('room | its job | rule', ARCHITECTURE_PAGE);
    const rooms = readdirSync('src', { withFileTypes: true }).filter((each) => each.isDirectory());
    const named = `${rows.map(([room]) => room).join()},\`client/\`,\`publisher/\``.split(',');
    expect(named.sort()).toEqual(rooms.map(({ name }) => `\`${name}/\``).sort());
    for (const [, , rule = ''] of rows) {
      const found = rules.some(([, text = '']) => text.replace(' Arrows point down.', '') === rule);
      expect.soft(found, rule).toBe(true);
    }
  });

  it('say for every close code what a client should do, those of ws included', () => {
    const documented = table('code | reason | when | come back?');
    const advice = new Map(documented.map(([code, reason, , come]) => [`${code} ${reason}`, come]));
    const all = Object.values({ ...disconnects, ...protocolErrors });
    for (const { code, reason, retry, reload } of all) {
      const key = `${code} ${reason && `\`${reason}\``}`;
      const then = reload ? ', then load the current state' : '';
      expect
        .soft(
          COME_BACK[retry].map((text) => text + then),
          key,
        )
        .toContain(advice.get(key));
    }
    expect(documented).toHaveLength(all.length);
    for (const [code, , when] of documented) expect.soft(when, code).not.toBe('');
  });

  it('say "no" of the close codes after which the browser client stays away', () => {
    const final = table('code | reason | when | come back?')
      .filter(([, , , comeBack]) => /^(no|not)\b/.test(comeBack ?? ''))
      .map(([code]) => Number(code));
    const list = /const FINAL = \[(.*)\]/.exec(snippet('With a plain websocket', 'html'))?.[1];
    expect(new Set(list?.split(', ').map(Number))).toEqual(new Set(final));
  });

  it('promise no endpoint that is not there', async () => {
    const { url } = await startServer({ NODE_ENV: 'development', METRICS: 'true' });
    const paths = table('request | answer').flatMap(([request = '']) =>
      [...request.matchAll(/`(GET|POST) (\/\S*)`/g)].map(([, method, path]) => ({ method, path })),
    );
    expect(paths.length).toBeGreaterThan(3);
    for (const { method, path } of paths) {
      const { status } = await fetch(`${url}${path}`, { method: String(method) });
      expect.soft(status, `${method} ${path}`).not.toBe(404);
      expect.soft(status, `${method} ${path}`).not.toBe(405);
    }
  });
});
