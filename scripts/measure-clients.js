// Prints how large clients are as a browser loads them: bundled with all that they import, minified by esbuild, and
// compressed with gzip -9. Needs a build and the npm registry.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** True for those whose main export is the default one. */
const OTHERS = {
  'pusher-js': true,
  centrifuge: false,
  'socket.io-client': false,
  '@anycable/web': false,
  phoenix: false,
  partysocket: true,
};

/** Bytes of a module with all that it exports. */
async function measure(module, resolveDir, hasDefault = false) {
  const contents = `export * from '${module}'; ${hasDefault ? `export { default } from '${module}'` : ''}`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
    logLevel: 'error',
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

const folder = mkdtempSync(join(tmpdir(), 'bifrost-'));
try {
  const install = ['install', '--silent', '--ignore-scripts', '--prefix', folder];
  execFileSync('npm', [...install, ...Object.keys(OTHERS)], { cwd: folder });

  const built = resolve('dist/bifrost-client');
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const rows = [
    [`bifrost-client ${version}`, await measure('./client/index.js', built)],
    [`bifrost-client/publisher ${version}`, await measure('./publisher/index.js', built)],
  ];
  for (const [name, hasDefault] of Object.entries(OTHERS)) {
    const manifest = join(folder, 'node_modules', name, 'package.json');
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    rows.push([`${name} ${version}`, await measure(name, folder, hasDefault)]);
  }
  for (const [name, bytes] of rows) {
    console.log(`| ${name.padEnd(30)} | ${(bytes / 1_000).toFixed(1).padStart(5)} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
