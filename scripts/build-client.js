// Makes what browsers and apps get: dist/client.js, the client as one module, and dist/bifrost-client, the package as
// npm publishes it.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

await import('./build-client-module.js');

const SOURCE = 'packages/bifrost-client';
const TARGET = 'dist/bifrost-client';

// What an earlier build left there would be published too.
rmSync(TARGET, { recursive: true, force: true });
const { status } = spawnSync(`tsc --project ${SOURCE}`, { shell: true, stdio: 'inherit' });
if (status === 0) {
  // One version and one licence for the server and its clients.
  const { version, license, engines } = JSON.parse(readFileSync('package.json', 'utf8'));
  const manifest = JSON.parse(readFileSync(`${SOURCE}/package.json`, 'utf8'));
  const complete = { ...manifest, version, license, engines };
  writeFileSync(`${TARGET}/package.json`, `${JSON.stringify(complete, null, 2)}\n`);
  copyFileSync(`${SOURCE}/README.md`, `${TARGET}/README.md`);
  copyFileSync('LICENSE.md', `${TARGET}/LICENSE.md`);
}
process.exitCode = status ?? 1;
