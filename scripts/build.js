// `npm run build`: compiles src/ to dist/, copies what is no code, and makes the package for apps.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync } from 'node:fs';

const { status } = spawnSync('tsc --project src', { shell: true, stdio: 'inherit' });
if (status === 0) {
  cpSync('src/pages/assets', 'dist/pages/assets', { recursive: true });
  chmodSync('dist/cli.js', 0o755);
  await import('./build-client.js');
} else {
  process.exitCode = status ?? 1;
}
