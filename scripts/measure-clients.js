// Prints how large clients are as a browser loads them: bundled with all that they import, minified by esbuild, and
// compressed with gzip -9. Writes the same as lines of JSON for `npm run bench -- --charts`. Needs a build and the npm
// registry.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, version as esbuildVersion } from 'esbuild';

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

function print(title, bytes) {
  console.log(`| ${title.padEnd(30)} | ${(bytes / 1_000).toFixed(1).padStart(5)} |`);
}

/** Returns where the lines are. */
function writeLines(clients) {
  const startedAt = new Date().toISOString();
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const versions = clients.map(({ name, version }) => `${name} ${version}`).join(', ');
  const setup = `commit ${commit}; ${versions}; esbuild ${esbuildVersion}, gzip -9; one run of each.`;
  const common = { startedAt, setup, round: 1, scenario: 'client-size' };
  const lines = clients.map(({ name, bytes }) => JSON.stringify({ ...common, peer: name, bytes }));
  mkdirSync('bench/results', { recursive: true });
  const file = `bench/results/sizes-${startedAt.replaceAll(':', '-')}.jsonl`;
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

const folder = mkdtempSync(join(tmpdir(), 'bifrost-'));
try {
  const install = ['install', '--silent', '--ignore-scripts', '--prefix', folder];
  execFileSync('npm', [...install, ...Object.keys(OTHERS)], { cwd: folder });

  const built = resolve('dist/bifrost-client');
  const versionIn = (manifest) => JSON.parse(readFileSync(manifest, 'utf8')).version;
  const version = versionIn('package.json');
  const publisher = await measure('./publisher/index.js', built);
  const clients = [
    { name: 'bifrost-client', version, bytes: await measure('./client/index.js', built) },
  ];
  for (const [name, hasDefault] of Object.entries(OTHERS)) {
    const version = versionIn(join(folder, 'node_modules', name, 'package.json'));
    clients.push({ name, version, bytes: await measure(name, folder, hasDefault) });
  }
  print('bifrost-client/publisher', publisher);
  for (const { name, version, bytes } of clients) print(`${name} ${version}`, bytes);
  console.error(`As lines of JSON: ${writeLines(clients)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
