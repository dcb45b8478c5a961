import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

it('is small: at most 2,048 bytes, minified and compressed, with all that it imports', async () => {
  const { outputFiles } = await build({
    entryPoints: ['dist/bifrost-client/publisher/index.js'],
    bundle: true,
    minify: true,
    format: 'esm',
    // Neither for browsers nor for Node: an import of Node would fail.
    platform: 'neutral',
    write: false,
  });
  expect(gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length).toBeLessThanOrEqual(2_048);
});
