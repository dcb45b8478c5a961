import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program to its end; rejects with what it printed when it fails. */
export async function run(command: string, args: readonly string[], cwd: string, env = {}) {
  const options = { cwd, env: { ...process.env, ...env }, timeout: 240_000, maxBuffer: 1e7 };
  try {
    return (await promisify(execFile)(command, args, options)).stdout;
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout: string; stderr: string };
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}
