import { execFile, spawn } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { Program, temporaryFolder } from './program.ts';

/** A program that runs samples, and where a reader gets it when it is missing. */
export interface Tool {
  readonly command: string;
  /** Completes the sentence "this test needs …". */
  readonly needs: string;
}

/** A folder with these files (name → content) to run samples in. Node finds our packages from there. */
export async function sampleFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Beside the environment of the tests, in which Ruby and others may find their packages. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end and resolves to what it printed. Rejects, saying what to install, when it fails. */
export async function run(
  tool: Tool,
  args: readonly string[],
  { cwd, env }: RunOptions = {},
): Promise<string> {
  try {
    const ended = await promisify(execFile)(tool.command, args, {
      cwd,
      env: { ...process.env, ...env },
      // A sample that hangs must not outlive the tests.
      timeout: 20_000,
    });
    return ended.stdout;
  } catch (error) {
    throw new Error(`${(error as Error).message}\n(this test needs ${tool.needs})`);
  }
}

/** Starts a Node program that stays, until the test ends; resolves to the port that it says it listens on. */
export async function startNode(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [, port] = await new Program(child).prints(/\bport"?[ :]+(\d+)/);
  return Number(port);
}
