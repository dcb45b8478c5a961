import { readFileSync } from 'node:fs';

// package.json is two folders up from both src/config/ and dist/config/.
const manifest: { readonly version: string; readonly repository?: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

/** The version of this server, as package.json has it. */
export const VERSION = manifest.version;

/** Where the sources are; undefined while package.json names no repository: an invented one could be registered by anybody. */
export const REPOSITORY = manifest.repository;
