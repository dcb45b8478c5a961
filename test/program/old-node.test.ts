import { spawn } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Script } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Program, temporaryFolder } from '../support/program.ts';

const MINIMUM = /^>=(\d+)\.(\d+)$/.exec(
  JSON.parse(await readFile('package.json', 'utf8')).engines.node,
);
const major = Number(MINIMUM?.[1]);
const minor = Number(MINIMUM?.[2]);

const OLD = ['0.12.18', '8.17.0', '10.24.1', `${major - 2}.20.8`, `${major - 1}.9.0`].concat(
  [0, 9, 10, minor - 1].map((older) => `${major}.${older}.3`),
);
const RECENT = [`${major}.${minor}.0`, '21.0.0', '26.1.2', '100.10.1'];

/** Where Node begins, and what comes next: one that is there in production is also in the folder of the tests. */
const STARTS = [
  { file: 'dist/main.js', next: /start\.js/ },
  { file: 'bin/bifrost.cjs', next: /Building Bifröst first/ },
  { file: 'scripts/build-if-possible.cjs', next: /dist\/ is missing/ },
];

describe.each(STARTS)('$file', ({ file, next }) => {
  /** Runs the file, with nothing else beside it, on a Node that says it is `version`. */
  async function runOn(version: string) {
    const folder = await temporaryFolder();
    await cp(file, join(folder, basename(file)));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(
      join(folder, 'pretend.cjs'),
      `Object.defineProperty(process, 'version', { value: 'v${version}' });
       Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`,
    );
    const args = ['--require', './pretend.cjs', basename(file)];
    const program = new Program(spawn(process.execPath, args, { cwd: folder }));
    const { code } = await program.ended;
    return { version, code, output: program.output };
  }

  it('refuses an old Node in one line, before it loads anything', async () => {
    expect(await Promise.all(OLD.map(runOn))).toEqual(
      OLD.map((version) => ({
        version,
        code: 1,
        output: `Bifröst needs Node ${major}.${minor} or later; this is v${version}\n`,
      })),
    );
  });

  it('goes on with a recent one', async () => {
    const ended = await Promise.all(RECENT.map(runOn));
    for (const { version, output } of ended) expect(output, version).toMatch(next);
  });

  it('can be parsed by a Node that knows no modules', async () => {
    expect(() => new Script('export {};')).toThrow(SyntaxError);
    new Script(await readFile(file, 'utf8'));
  });
});
