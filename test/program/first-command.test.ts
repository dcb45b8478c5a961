import { spawn } from 'node:child_process';
import { cp, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Program, temporaryFolder } from '../support/program.ts';

/** What a build needs, as in the Dockerfile. */
const SOURCES = [
  'package.json',
  'tsconfig.json',
  'LICENSE.md',
  'bin',
  'packages',
  'scripts',
  'src',
];

/** A clone that has never been built. */
async function freshClone(): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of SOURCES) await cp(name, join(folder, name), { recursive: true });
  return folder;
}

/** Runs `bifrost` of that clone, in another folder. */
async function bifrostOf(clone: string, ...args: string[]) {
  const child = spawn(process.execPath, [join(clone, 'bin/bifrost.cjs'), ...args], {
    cwd: await temporaryFolder(),
    env: { PATH: process.env['PATH'] },
  });
  const program = new Program(child);
  const { code } = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

// A build takes half a minute on a machine that is very busy.
describe('the first bifrost in a clone that has not been built', { timeout: 120_000 }, () => {
  it('builds it, and its standard output is that of the command', async () => {
    const clone = await freshClone();
    await symlink(resolve('node_modules'), join(clone, 'node_modules'));
    const first = await bifrostOf(clone, 'secret');
    expect(first).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^[\da-f]{128}\n$/),
      stderr: 'Building Bifröst first …\n',
    });
    await stat(join(clone, 'dist/main.js'));

    expect(await bifrostOf(clone, 'secret', 'extra')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^bifrost secret: /),
    });
  });

  it('says what to do when there is no compiler', async () => {
    expect(await bifrostOf(await freshClone(), 'secret')).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('dist/ is missing and so is the compiler: run npm ci'),
    });
  });

  it('runs nothing of a build that has failed', async () => {
    const clone = await freshClone();
    await symlink(resolve('node_modules'), join(clone, 'node_modules'));
    await rm(join(clone, 'src/start.ts'));
    // What an earlier attempt has left behind.
    await mkdir(join(clone, 'dist/commands'), { recursive: true });
    await writeFile(join(clone, 'dist/commands/run.js'), 'console.log("it runs");');
    const broken = await bifrostOf(clone, 'secret');
    expect(broken).toMatchObject({ code: 1, stdout: '' });
    expect(broken.stderr).toContain('start.ts');
  });
});
