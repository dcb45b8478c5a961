import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const LOAD = new URL('load/', import.meta.url);

/**
 * Makes the programs of `load/` JavaScript. Compiled anew whenever one starts, they would take half a second of a core
 * each time, and there are two for every run.
 */
export async function buildLoadGenerators(): Promise<void> {
  const programs = readdirSync(LOAD).filter((name) => name.endsWith('-process.ts'));
  await build({
    entryPoints: programs.map((name) => fileURLToPath(new URL(name, LOAD))),
    outdir: fileURLToPath(new URL('dist/', import.meta.url)),
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
  });
}
