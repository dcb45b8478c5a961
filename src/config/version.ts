import { readFileSync } from 'node:fs';

// package.json is two folders up from both src/config/ and dist/config/.
const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

/** The version of this server, as package.json has it. */
export const VERSION = manifest.version;
