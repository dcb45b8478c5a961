import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { table } from '../support/snippets.ts';

const LIMIT = 4_096;

it('is small: at most 4,096 bytes, minified and compressed, with all that it imports', async () => {
  const { outputFiles } = await build({
    entryPoints: ['dist/bifrost-client/client/index.js'],
    bundle: true,
    minify: true,
    format: 'esm',
    // Neither for browsers nor for Node: an import of Node would fail.
    platform: 'neutral',
    write: false,
  });
  const bytes = outputFiles[0]?.contents ?? new Uint8Array();
  expect(bytes.length).toBeGreaterThan(0);
  const { length } = gzipSync(bytes, { level: 9 });
  expect(length).toBeLessThanOrEqual(LIMIT);
  const clients = 'bifrost-client | pusher-js | centrifuge | socket.io-client | @anycable/web';
  const [sizes] = table(`${clients} | phoenix | partysocket`);
  expect(sizes?.[0], 'in the README').toBe((length / 1_000).toFixed(1));
});

it('is as small when the server delivers it', () => {
  expect(gzipSync(readFileSync('dist/client.js'), { level: 9 }).length).toBeLessThanOrEqual(LIMIT);
});

it('does nothing when it is imported', async () => {
  const { outputFiles } = await build({
    stdin: { contents: "import './dist/bifrost-client/client/index.js'", resolveDir: '.' },
    bundle: true,
    format: 'esm',
    // What the manifest says of side effects is not believed.
    ignoreAnnotations: true,
    treeShaking: true,
    minify: true,
    write: false,
  });
  expect(outputFiles[0]?.text.trim()).toBe('');
});
