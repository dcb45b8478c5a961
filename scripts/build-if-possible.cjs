// Runs before `npm start`: builds when the compiler is installed, else leaves dist/ as it was delivered.
// Any Node can parse this file. It loads nothing before it knows the version.
if (/^(1?\d|20\.(1[0-8]|\d))\./.test(process.versions.node)) {
  console.error(`Bifröst needs Node 20.19 or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  const { spawnSync } = require('node:child_process');
  const { existsSync } = require('node:fs');

  if (existsSync('node_modules/typescript')) {
    const { status } = spawnSync('npm run --silent build', { shell: true, stdio: 'inherit' });
    process.exitCode = status === null ? 1 : status;
  } else if (!existsSync('dist/main.js')) {
    console.error('dist/ is missing and so is the compiler: run npm ci --include=dev first.');
    process.exitCode = 1;
  }
}
