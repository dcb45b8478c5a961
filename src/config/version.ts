import { readFileSync } from 'node:fs';

// Beside the folder of this file, be it the sources or what they were compiled to.
const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

/** The version of this server, as package.json has it. */
export const VERSION = manifest.version;
