import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectClient, type TestClient } from '../support/client.ts';
import { run, sampleFolder, startNode, type Tool } from '../support/process.ts';
import { temporaryFolder } from '../support/program.ts';
import { snippet } from '../support/snippets.ts';
import { SECRET } from '../support/tokens.ts';

/** Started as the Procfile does. */
const MAIN = resolve('dist/main.js');

interface Client {
  readonly name: string;
  readonly tool: Tool;
  readonly language: string;
  /** How step 1 of the README is saved, and a program that prints the answer to a user's request. */
  readonly token: { readonly file: string; readonly caller: string };
}

const CLIENTS: readonly Client[] = [
  {
    name: 'Ruby',
    tool: { command: 'ruby', needs: 'apt-get install ruby ruby-jwt' },
    language: 'ruby',
    token: {
      file: 'bifrost.rb',
      caller: "require 'json'\nrequire_relative 'bifrost'\nputs bifrost_token(1).to_json",
    },
  },
  {
    name: 'Python',
    // Debian's packages are those of Debian's Python; another one may come first on the PATH.
    tool: { command: '/usr/bin/python3', needs: 'apt-get install python3-jwt' },
    language: 'python',
    token: {
      file: 'bifrost.py',
      caller: 'import json\nimport bifrost\nprint(json.dumps(bifrost.bifrost_token(1)))',
    },
  },
  {
    name: 'PHP',
    tool: { command: 'php', needs: 'apt-get install php-cli' },
    language: 'php',
    token: { file: 'bifrost.php', caller: "<?php require 'bifrost.php'; echo bifrost_token(1);" },
  },
];

interface Stage {
  /** What the README tells an app to set. */
  readonly env: Readonly<Record<string, string>>;
  connect(): Promise<TestClient>;
}

async function startStage(): Promise<Stage> {
  const env = { JWT_SECRET: SECRET, HOST: '127.0.0.1', PORT: '0' };
  // In a folder of its own, so that a developer's .env does not count.
  const port = await startNode([MAIN], await temporaryFolder(), env);
  return {
    env: { JWT_SECRET: SECRET, BIFROST_URL: `http://127.0.0.1:${port}` },
    connect: () => connectClient(`ws://127.0.0.1:${port}/subscribe`),
  };
}

describe.each(CLIENTS)('the $name samples of the README', ({ name, tool, language, token }) => {
  const folder = () =>
    sampleFolder({
      [token.file]: snippet('1. Hand out tokens', language),
      token: token.caller,
      broadcast: snippet('With plain requests', language),
      all: snippet('Many at once', language),
    });

  it('hand out a token that the server takes', async () => {
    const { env, connect } = await startStage();

    const answer = JSON.parse(await run(tool, ['token'], { cwd: await folder(), env }));

    const alice = (await connect()).authenticate(answer.token);
    expect(await alice.next()).toEqual({ event: 'subscribed', data: '{"channel":"user:1"}' });
    expect(await alice.next()).toEqual({ event: 'subscribed', data: '{"channel":"news"}' });
  });

  it('broadcast a message', async () => {
    const { env, connect } = await startStage();
    const alice = await (await connect()).subscribe('user:1');

    const printed = await run(tool, ['broadcast'], { cwd: await folder(), env });

    expect(printed.trim()).toBe('1');
    expect(await alice.next()).toEqual({ event: 'greeting', data: `Hello from ${name}` });
  });

  it('broadcast many messages', async () => {
    const { env, connect } = await startStage();
    const alice = await (await connect()).subscribe('user:1', 'news');

    const printed = await run(tool, ['all'], { cwd: await folder(), env });

    expect(JSON.parse(printed)).toEqual([1, 1]);
    for (let n = 0; n < 2; n += 1) {
      expect(await alice.next()).toEqual({ event: 'greeting', data: `Hello all from ${name}` });
    }
  });

  it.each(['broadcast', 'all'])('fail when the server refuses: %s', async (sample) => {
    const { env } = await startStage();
    const wrong = { ...env, JWT_SECRET: 'another secret, which the server does not share with us' };
    await expect(run(tool, [sample], { cwd: await folder(), env: wrong })).rejects.toThrow(
      /Bad signature|HTTP Error 400/,
    );
  });
});
