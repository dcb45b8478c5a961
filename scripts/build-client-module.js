// Makes dist/client.js: the browser client as one module, which the server delivers at /client.js.
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version, license } = JSON.parse(readFileSync('package.json', 'utf8'));

await build({
  entryPoints: ['src/client/index.ts'],
  outfile: 'dist/client.js',
  bundle: true,
  minify: true,
  format: 'esm',
  // Neither for browsers nor for Node: an import of Node would fail.
  platform: 'neutral',
  target: 'es2022',
  banner: { js: `/*! bifrost-client ${version}, ${license} */` },
});
