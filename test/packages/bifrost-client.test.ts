import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startBroadcastDouble } from '../support/broadcast-double.ts';
import { SECRET } from '../support/tokens.ts';
import { PROGRAM } from './program.ts';
import { createProject, type Project, runtimeCommand } from './project.ts';
import { run } from './run.ts';

const SERVER = JSON.parse(await readFile('package.json', 'utf8'));
const README = await readFile('packages/bifrost-client/README.md', 'utf8');
const CLIENT_SAMPLE = /^```ts\n(.*?)^```$/ms.exec(README)?.[1] ?? '';
const SAMPLE = /^```js\n(.*?)^```$/ms.exec(README)?.[1] ?? '';

let project: Project;

beforeAll(async () => {
  project = await createProject();
});

afterAll(() => project.remove());

describe('the package', () => {
  it('has what an app needs, and nothing else', () => {
    const files = project.tarball.files.map(({ path }) => path);
    expect(files).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE.md']));
    for (const file of files) {
      expect(file).toMatch(
        /^(package\.json|README\.md|LICENSE\.md|(client|protocol|publisher)\/[\w-]+(\.d\.ts|\.js))$/,
      );
    }
  });

  it('has the version and the licence of the server, and no dependencies', async () => {
    const manifest = JSON.parse(
      await readFile(join(project.folder, 'node_modules/bifrost-client/package.json'), 'utf8'),
    );
    const { version, license, engines } = SERVER;
    expect(manifest).toMatchObject({ name: 'bifrost-client', version, license, engines });
    expect(manifest.sideEffects).toBe(false);
    expect(Object.keys(manifest)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/dependencies$/i)]),
    );
  });

  it('passes publint and @arethetypeswrong/cli', async () => {
    expect(await run('npm', ['run', '--silent', 'lint:packages'], '.')).toContain('All good!');
  });

  it('is installed as its README says, not from a registry', () => {
    expect(README).toContain('npm pack ./dist/bifrost-client');
    expect(README).not.toMatch(/npm (i|install|add) bifrost-client/);
    expect(project.tarball.filename).toBe(`bifrost-client-${SERVER.version}.tgz`);
  });
});

describe('TypeScript', () => {
  const compile = async (name: string, options: object) => {
    await writeFile(join(project.folder, 'sample.ts'), SAMPLE);
    await writeFile(join(project.folder, 'client.ts'), CLIENT_SAMPLE);
    await writeFile(join(project.folder, 'errors.ts'), WRONG);
    await writeFile(
      join(project.folder, name),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          ...options,
        },
        files: ['sample.ts', 'client.ts', 'errors.ts'],
      }),
    );
    return run(join(project.folder, 'node_modules/.bin/tsc'), ['--project', name], project.folder);
  };

  /** What must not compile. */
  const WRONG = `
    import { BifrostPublisher, type PublishedBroadcast } from 'bifrost-client/publisher';
    const bifrost = new BifrostPublisher({ url: undefined, secret: undefined });
    const published: PublishedBroadcast = await bifrost.publish('a', {});
    // @ts-expect-error It may not be known.
    published.deliveries.toFixed();
    // @ts-expect-error Either one channel or several.
    bifrost.publishAll([{ channel: 'a', channels: ['b'], message: {} }]);
    // @ts-expect-error A message is an object, or text.
    bifrost.publish('a', 1);
    // @ts-expect-error An option is missing.
    new BifrostPublisher({ url: 'http://localhost' });

    import { BifrostClient } from 'bifrost-client';
    import { WebSocket as Ws } from 'ws';
    new BifrostClient('ws://localhost', { token: () => ['one', 'two'], WebSocket: Ws }).connect();
    // @ts-expect-error The token is missing.
    new BifrostClient('ws://localhost', {});
    const client = new BifrostClient<{ greeting: string }>('ws://localhost', { token: async () => null });
    const off: () => void = client.on('greeting', (data) => data.trim());
    // @ts-expect-error There is no such event.
    client.on('greetings', () => {});
    // @ts-expect-error Its data is a string.
    client.channel('a').on('greeting', (data: number) => data, { signal: AbortSignal.timeout(1) });
    client.onState((state) => {
      // @ts-expect-error There is no such state.
      if (state === 'open') off();
    });
    for await (const { text } of client.channel('a')) text.trim();
    await using closing = client;
  `;

  beforeAll(async () => {
    const { typescript, '@types/node': node } = SERVER.devDependencies;
    const { ws } = SERVER.dependencies;
    const packages = [`typescript@${typescript}`, `@types/node@${node}`, `ws@${ws}`, '@types/ws@8'];
    await run('npm', ['install', ...packages], project.folder);
  });

  it('compiles the sample of the README for Node', async () => {
    await compile('tsconfig.node.json', { module: 'nodenext', target: 'es2022', types: ['node'] });
  });

  it('compiles the sample of the README for a bundler', async () => {
    await compile('tsconfig.bundler.json', {
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'es2022',
      lib: ['es2022', 'dom'],
      types: ['node'],
    });
  });

  it('finds all types without those of Node', async () => {
    await writeFile(
      join(project.folder, 'edge.ts'),
      `import { BifrostClient } from 'bifrost-client';
       import { BifrostPublisher } from 'bifrost-client/publisher';
       new BifrostClient<{ greeting: string }>('', { token: () => null }).onGap(({ channels }) => channels.length);
       export default { fetch: () => new BifrostPublisher({ url: '', secret: '' }).publish('a', {}) };`,
    );
    const options = ['--strict', '--noEmit', '--skipLibCheck', 'false', '--target', 'es2022'];
    const flags = ['--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2022,dom'];
    await run(
      join(project.folder, 'node_modules/.bin/tsc'),
      ['--ignoreConfig', ...options, ...flags, '--types', '', 'edge.ts'],
      project.folder,
    );
  });
});

describe('the sample of the README', () => {
  it('runs', async () => {
    const double = await startBroadcastDouble();
    await writeFile(join(project.folder, 'sample.js'), SAMPLE);
    const env = { BIFROST_URL: double.url, JWT_SECRET: SECRET };
    const [deliveries, tokenLength] = (
      await run(process.execPath, ['sample.js'], project.folder, env)
    ).split('\n');
    expect(deliveries).toBe('1');
    expect(Number(tokenLength)).toBeGreaterThan(100);
    expect(double.delivered.map(({ channel }) => channel)).toEqual([
      'user:1',
      'user:1',
      'user:2',
      'user:3',
      'a',
      'b',
      'user:1',
    ]);
  });
});

/** A port on which nobody listens. */
async function silentPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe.each(['Node', 'Bun', 'Deno'] as const)('%s', (runtime) => {
  it('publishes, tries again what failed, and knows what cannot have arrived', async () => {
    const double = await startBroadcastDouble(({ broadcasts: [broadcast], jti }, n) => {
      const isFirst = double.posted.findIndex((posted) => posted.jti === jti) === n;
      switch (broadcast?.channels[0]) {
        case 'cut before':
          return isFirst ? 'cut before' : 'deliver';
        case 'cut after':
          return isFirst ? 'cut after' : 'deliver';
        case 'cut answer':
          return isFirst ? 'cut answer' : 'deliver';
        case 'redirect':
          return { status: 307, headers: { Location: '/elsewhere' } };
        default:
          return 'deliver';
      }
    });
    await writeFile(join(project.folder, 'program.mjs'), PROGRAM);
    const [command, ...args] = await runtimeCommand(project, runtime);
    const env = {
      BIFROST_URL: double.url,
      NOBODY_URL: `http://127.0.0.1:${await silentPort()}`,
      JWT_SECRET: SECRET,
    };
    const printed = JSON.parse(await run(command, [...args, 'program.mjs'], project.folder, env));

    expect(printed).toMatchObject({
      all: 500_500,
      'cut before': 1,
      'cut after': 1,
      'cut answer': 1,
      redirect: { code: 'REFUSED', status: 307, mayHaveBeenDelivered: false },
      nobody: { code: 'ABORTED', attempts: 2 },
      nowhere: { code: 'ABORTED', attempts: 2 },
    });
    expect(double.delivered).toHaveLength(1_003);
    expect(double.posted.every(({ path }) => path === '/broadcast')).toBe(true);
  });
});

it('is one file after bundling, which needs nothing of Node', async () => {
  const { outputFiles } = await build({
    stdin: { contents: PROGRAM, resolveDir: project.folder },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    write: false,
  });
  expect(outputFiles[0]?.text).not.toMatch(/\bfrom ?["']|\brequire\(|\bBuffer\b/);
});
