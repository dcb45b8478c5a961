import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { snippet, TESTING_PAGE } from '../support/snippets.ts';
import { run } from './run.ts';

const { version, devDependencies } = JSON.parse(await readFile('package.json', 'utf8'));

let scratch: string;
/** An empty project into which the server and its client have been installed, with a test runner and a compiler. */
let project: string;
let tarball: Tarball;

interface Tarball {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Packs a folder as npm publishes it. */
async function pack(folder: string): Promise<Tarball> {
  const options = ['--json', '--ignore-scripts', '--pack-destination', scratch];
  const packed = await run('npm', ['pack', ...options, folder], '.');
  return Object.values<Tarball>(JSON.parse(packed))[0] as Tarball;
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'bifrost-'));
  // The suite has built it already.
  tarball = await pack('.');
  const client = await pack('./dist/bifrost-client');
  project = join(scratch, 'app');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{"type":"module"}');
  const tools = ['vitest', 'typescript', '@types/node', '@types/ws'].map(
    (name) => `${name}@${devDependencies[name]}`,
  );
  const packages = [tarball, client].map(({ filename }) => join(scratch, filename));
  await run('npm', ['install', '--prefer-offline', '--no-audit', ...packages, ...tools], project);

  const files = {
    'greet.js': `
      /** @param {import('bifrost-node/testing').TestBifrost['publisher']} publisher @param {number} id */
      export async function greet(publisher, id) {
        await publisher.publish(\`user:\${id}\`, { event: 'greeting', data: 'Hello' });
      }`,
    'greet.test.ts': snippet('vitest', 'ts', TESTING_PAGE),
    'app.js': `
      ${snippet('With plain requests', 'js').replace(/^console.log.*$/m, '')}
      /** @param {number} id */
      export const greet = (id) => broadcast(\`user:\${id}\`, 'greeting', 'Hello');`,
    'app.test.ts': snippet('An app that reads its environment', 'ts', TESTING_PAGE),
    'page.test.ts': snippet('A page that reconnects', 'ts', TESTING_PAGE),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(project, name), text);
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

describe('the package of the server', () => {
  it('is installed as the guide says, not from a registry', () => {
    expect(snippet('Install', 'text', TESTING_PAGE).trim()).toBe(
      `npm install --save-dev ../bifrost/${tarball.filename}`,
    );
    expect(tarball.filename).toBe(`bifrost-node-${version}.tgz`);
  });

  it('has the program and what it needs, and no sources or tests', () => {
    const paths = tarball.files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'package.json',
        'README.md',
        'LICENSE.md',
        'docs/testing.md',
        'bin/bifrost.cjs',
        'dist/main.js',
        'dist/testing.js',
        'dist/types/testing.d.ts',
        'dist/pages/assets/landing.html',
      ]),
    );
    for (const path of paths) {
      expect
        .soft(path)
        .toMatch(
          /^([\w-]+\.(md|json)|docs\/[\w-]+\.(md|yaml)|bin\/bifrost\.cjs|dist\/.+\.(js|html|css|svg|txt|d\.ts))$/,
        );
      expect.soft(path).not.toMatch(/^dist\/bifrost-client/);
    }
  });

  it('passes publint and @arethetypeswrong/cli', async () => {
    const file = join(scratch, tarball.filename);
    expect(await run('npx', ['--no-install', 'publint', 'run', file, '--strict'], '.')).toContain(
      'All good!',
    );
    await run('npx', ['--no-install', 'attw', file, '--profile', 'esm-only'], '.');
  });

  it('runs the server and the pages of it', async () => {
    const bifrost = join(project, 'node_modules/.bin/bifrost');
    expect(await run(bifrost, ['--version'], project)).toBe(`${version}\n`);
    await writeFile(
      join(project, 'page.js'),
      `import { startBifrost } from 'bifrost-node/testing';
       const { url, close } = await startBifrost({ NODE_ENV: 'development' });
       for (const path of ['/', '/test', '/client.js', '/healthz']) console.log((await fetch(url + path)).status);
       await close();`,
    );
    expect(await run(process.execPath, ['page.js'], project)).toBe('200\n200\n200\n200\n');
  });
});

describe('the examples of the guide to testing', () => {
  it('pass with vitest in a project that has installed the package', async () => {
    const printed = await run(
      'npx',
      ['--no-install', 'vitest', 'run', '--reporter=json', '--testTimeout=30000'],
      project,
    );
    expect(JSON.parse(printed)).toMatchObject({ success: true, numPassedTests: 4 });
  });

  it('compile', async () => {
    const options = { strict: true, noEmit: true, module: 'nodenext', target: 'es2022' };
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...options,
          lib: ['es2022'],
          types: ['node'],
          allowJs: true,
          skipLibCheck: true,
        },
        files: ['greet.test.ts', 'app.test.ts', 'page.test.ts'],
      }),
    );
    await run('npx', ['--no-install', 'tsc'], project);
  });
});

it('has types that need no others', async () => {
  await writeFile(
    join(project, 'types.ts'),
    `import { startBifrost, type PostedBroadcast, type TestBifrost } from 'bifrost-node/testing';
     const bifrost: TestBifrost = await startBifrost({ HISTORY_MESSAGES: '1', HOST: undefined });
     const next: PostedBroadcast = await bifrost.nextBroadcast({ channel: 'a' });
     next.message['event'];
     await bifrost.publisher.publish('a', {});
     // @ts-expect-error A setting is text, as in the environment.
     startBifrost({ HISTORY_MESSAGES: 1 });
     // @ts-expect-error They are the server's to write.
     bifrost.broadcasts.push(next);`,
  );
  const checks = ['--ignoreConfig', '--strict', '--noEmit', '--skipLibCheck', 'false'];
  const target = ['--target', 'es2022', '--module', 'nodenext', '--types', ''];
  const lib = ['--lib', 'es2022,dom'];
  await run('npx', ['--no-install', 'tsc', ...checks, ...target, ...lib, 'types.ts'], project);
});
