// `npm run build`: compiles src/ to dist/, with types for what apps import, copies what is no code, and makes the package
// for apps.
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';

const { status } = spawnSync('tsc --project src && tsc --project src/testing', {
  shell: true,
  stdio: 'inherit',
});
if (status === 0) {
  cpSync('src/pages/assets', 'dist/pages/assets', { recursive: true });
  await import('./build-client.js');
} else {
  process.exitCode = status ?? 1;
}
