#!/usr/bin/env node
// The command line. In a clone that has never been built, it builds first, as `npm start` does.
// Any Node can parse this file. It loads nothing before it knows the version.
if (/^(1?\d|20\.(1[0-8]|\d))\./.test(process.versions.node)) {
  console.error(`Bifröst needs Node 20.19 or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  const { spawnSync } = require('node:child_process');
  const { existsSync } = require('node:fs');
  const { join } = require('node:path');

  const root = join(__dirname, '..');
  // The client is built last: without it a build has failed, or is still under way.
  const parts = ['dist/commands/run.js', 'dist/client.js'];
  let status = 0;
  if (!parts.every((file) => existsSync(join(root, file)))) {
    console.error('Building Bifröst first …');
    // Standard output belongs to the command.
    const options = { cwd: root, stdio: ['ignore', 2, 'inherit'] };
    ({ status } = spawnSync(process.execPath, ['scripts/build-if-possible.cjs'], options));
  }
  if (status === 0) {
    process.setSourceMapsEnabled(true);
    import('../dist/commands/run.js');
  } else {
    process.exitCode = 1;
  }
}
