// Runs before `npm start`: builds when the compiler is installed, else leaves dist/ as it was delivered.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

if (existsSync('node_modules/typescript')) {
  const { status } = spawnSync('npm run --silent build', { shell: true, stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else if (!existsSync('dist/main.js')) {
  console.error('dist/ is missing and so is the compiler: run npm ci --include=dev first.');
  process.exitCode = 1;
}
