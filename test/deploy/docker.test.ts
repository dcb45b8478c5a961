import { exec, spawn } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Program, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';

/** A step of the Dockerfile: its word and what follows. */
type Step = readonly [instruction: string, rest: string];

let stages: readonly (readonly Step[])[];

beforeAll(async () => {
  const steps = (await readFile('Dockerfile', 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): Step => {
      const space = line.indexOf(' ');
      return [line.slice(0, space), line.slice(space + 1)];
    });
  const starts = steps.flatMap(([word], index) => (word === 'FROM' ? [index] : []));
  stages = starts.map((start, n) => steps.slice(start, starts[n + 1]));
});

/** What follows the instruction where the stage has it once. */
function only(stage: readonly Step[] | undefined, instruction: string): string {
  const found = (stage ?? []).filter(([word]) => word === instruction);
  if (found.length !== 1) throw new Error(`${found.length} ${instruction} instead of one`);
  return String(found[0]?.[1]);
}

/** What docker would send to be built: .dockerignore shuts everything out, and lets some of it in again. */
async function buildContext(): Promise<string> {
  const [all, ...exceptions] = (await readFile('.dockerignore', 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(all).toBe('*');
  const folder = await temporaryFolder();
  for (const exception of exceptions) {
    const name = /^!([\w.-]+)$/.exec(exception)?.[1] ?? '';
    await cp(name, join(folder, name), { recursive: true });
  }
  return folder;
}

/** Takes the steps of a stage in a folder instead of an image; resolves to the folder that is its working directory. */
async function build(
  stage: readonly Step[],
  root: string,
  context: string,
  stageRoots: ReadonlyMap<string, string>,
): Promise<string> {
  let cwd = root;
  const env: Record<string, string | undefined> = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
  };
  for (const [word, rest] of stage) {
    switch (word) {
      case 'WORKDIR':
        cwd = join(root, rest);
        await mkdir(cwd, { recursive: true });
        break;
      case 'ENV': {
        const [name = '', value] = rest.split('=');
        env[name] = value;
        break;
      }
      case 'RUN':
        await promisify(exec)(rest, { cwd, env });
        break;
      case 'COPY': {
        const from = /^--from=(\w+) /.exec(rest);
        const source = from === null ? context : stageRoots.get(from[1] ?? '');
        if (source === undefined) throw new Error(`COPY from an unknown stage: ${rest}`);
        const names = rest.slice(from?.[0].length ?? 0).split(' ');
        const target = join(cwd, names.pop() ?? '');
        for (const name of names) {
          const isIntoFolder = names.length > 1 || rest.endsWith('/');
          const destination = isIntoFolder ? join(target, basename(name)) : target;
          await cp(join(source, name), destination, { recursive: true, verbatimSymlinks: true });
        }
        break;
      }
      case 'FROM':
      case 'USER':
      case 'EXPOSE':
      case 'HEALTHCHECK':
      case 'CMD':
        break;
      default:
        throw new Error(`the test does not know ${word}`);
    }
  }
  return cwd;
}

describe('Dockerfile', () => {
  it('builds a small image that runs as a user other than root', () => {
    for (const stage of stages) expect(only(stage, 'FROM')).toMatch(/^node:2\d-slim( AS \w+)?$/);
    expect(only(stages.at(-1), 'USER')).toBe('node');
    // The exec form: a shell would stand between SIGTERM and the server.
    expect(JSON.parse(only(stages.at(-1), 'CMD'))[0]).toBe('node');
  });

  it('has no secret in it', async () => {
    expect(await readFile('Dockerfile', 'utf8')).not.toMatch(/^(ENV|ARG) .*(SECRET|TOKEN|URL)/m);
  });

  it('makes a server that is healthy, has no compiler and ends with 0', async () => {
    const context = await buildContext();
    const stageRoots = new Map<string, string>();
    let app = '';
    for (const stage of stages) {
      const root = await temporaryFolder();
      await chmod(root, 0o755);
      const name = / AS (\w+)$/.exec(only(stage, 'FROM'))?.[1] ?? '';
      app = await build(stage, root, context, stageRoots);
      stageRoots.set(name, root);
    }
    expect((await readdir(app)).toSorted()).toEqual([
      'bin',
      'data',
      'dist',
      'node_modules',
      'package.json',
    ]);
    expect(await readdir(join(app, 'node_modules'))).not.toContain('typescript');

    const [command, ...args] = JSON.parse(only(stages.at(-1), 'CMD'));
    expect(command).toBe('node');
    const env = { PATH: process.env['PATH'], NODE_ENV: 'production', JWT_SECRET: SECRET };
    // Nobody, where the test may become that: the image's user is not root either.
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    // As the head of the file tells how to run it.
    const HISTORY_FILE = /^# .*--env HISTORY_FILE=(\S+)/m.exec(
      await readFile('Dockerfile', 'utf8'),
    )?.[1];
    expect(HISTORY_FILE).toBe('data/history');
    const start = () => {
      const child = spawn(process.execPath, args, {
        cwd: app,
        env: { ...env, PORT: '0', DRAIN_SECONDS: '0', HISTORY_FILE },
        ...user,
      });
      onTestFinished(() => {
        child.kill('SIGKILL');
      });
      return new Program(child);
    };
    const server = start();
    const port = await server.listening();

    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/test`)).status).toBe(404);
    expect(await checkHealth({ ...env, PORT: String(port) })).toBe(0);

    server.child.kill('SIGTERM');
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect(await checkHealth({ ...env, PORT: String(port) })).toBe(1);
    await start().prints(/history restored[\s\S]*listens on/);
  });

  /** Runs the health check as docker does; resolves to its exit code. */
  async function checkHealth(env: NodeJS.ProcessEnv): Promise<number | null> {
    const [, json = ''] = only(stages.at(-1), 'HEALTHCHECK').split(' CMD ');
    const [command, ...args] = JSON.parse(json);
    expect(command).toBe('node');
    const check = new Program(spawn(process.execPath, args, { env }));
    const { code } = await check.ended;
    expect(check.output).toBe('');
    return code;
  }
});
