import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { APP_SCRIPT, App, type StartApp } from '../support/client-app.ts';
import { describeClient, describeRestart } from '../support/client-scenarios.ts';
import { createProject, type Project, type Runtime, runtimeCommand } from './project.ts';
import { run } from './run.ts';

const PROGRAM = `
import { createInterface } from 'node:readline';
import { BifrostClient } from 'bifrost-client';

const SETTINGS = JSON.parse(process.env.SETTINGS);
// Node 20 has none.
if (!globalThis.WebSocket) SETTINGS.WebSocket = (await import('ws')).WebSocket;
createInterface({ input: process.stdin }).on('line', (name) => commands[name]());
${APP_SCRIPT}`;

/** What the client does in an app of its own, with each of these runtimes. */
export function describeClientIn(runtimes: readonly Runtime[]): void {
  let project: Project;

  beforeAll(async () => {
    project = await createProject();
    const { dependencies } = JSON.parse(await readFile('package.json', 'utf8'));
    await run('npm', ['install', `ws@${dependencies.ws}`], project.folder);
    await writeFile(join(project.folder, 'client.mjs'), PROGRAM);
  });

  afterAll(() => project.remove());

  describe.each(runtimes)('in %s, the client', (runtime) => {
    let command: string;
    let args: string[];

    beforeAll(async () => {
      [command, ...args] = await runtimeCommand(project, runtime);
    });

    const startApp: StartApp = async (settings) => {
      const child = spawn(command, [...args, 'client.mjs'], {
        cwd: project.folder,
        env: { ...process.env, SETTINGS: JSON.stringify(settings) },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      onTestFinished(() => {
        child.kill('SIGKILL');
      });
      const app = new App((name) => child.stdin.write(`${name}\n`));
      createInterface({ input: child.stdout }).on('line', (line) => app.hear(line));
      return app;
    };
    describeClient(startApp);
    describeRestart(startApp);
  });
}
