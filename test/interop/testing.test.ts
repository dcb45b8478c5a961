import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CLI_PROGRAM } from '../support/build.ts';
import { run, type Tool } from '../support/process.ts';
import { temporaryFolder } from '../support/program.ts';
import { snippet, TESTING_PAGE } from '../support/snippets.ts';

interface Example {
  readonly heading: string;
  readonly language: string;
  /** Where the reader saves it, as its first line says. */
  readonly file: string;
  /** What the guide calls "yours". `greeting` is the text that it broadcasts. */
  app(greeting: string): { readonly file: string; readonly code: string };
  readonly tool: Tool;
  readonly args: readonly string[];
  /** What is printed when the one test of it passes or fails. */
  readonly passed: RegExp;
  readonly failed: RegExp;
}

const EXAMPLES: readonly Example[] = [
  {
    heading: 'RSpec',
    language: 'ruby',
    file: 'spec/greet_spec.rb',
    app: (greeting) => ({
      file: 'greet.rb',
      code: `${sample('ruby')}\ndef greet(id) = broadcast("user:#{id}", 'greeting', '${greeting}')\n`,
    }),
    tool: { command: 'rspec', needs: 'apt-get install ruby-rspec ruby-jwt' },
    args: [],
    passed: /^1 example, 0 failures$/m,
    failed: /^1 example, 1 failure$/m,
  },
  {
    heading: 'pytest',
    language: 'python',
    file: 'test_greet.py',
    app: (greeting) => ({
      file: 'greet.py',
      code: `${sample('python')}\ndef greet(id):\n    broadcast(f"user:{id}", "greeting", "${greeting}")\n`,
    }),
    // Debian's packages are those of Debian's Python; another one may come first on the PATH.
    tool: { command: '/usr/bin/python3', needs: 'apt-get install python3-pytest python3-jwt' },
    args: ['-m', 'pytest'],
    passed: /^=+ 1 passed in /m,
    failed: /^=+ 1 failed in /m,
  },
];

/** The function of the README that broadcasts, without the line that calls it. */
function sample(language: string): string {
  return snippet('With plain requests', language).replace(/^(puts |print\().*\n/m, '');
}

describe.each(EXAMPLES)('the $heading example of the guide to testing', (example) => {
  const { heading, language, file, app, tool, args, passed, failed } = example;

  /** A folder with the example and an app, into which `bifrost` has been installed. */
  async function project(greeting: string): Promise<string> {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'node_modules/.bin'), { recursive: true });
    await symlink(CLI_PROGRAM, join(folder, 'node_modules/.bin/bifrost'));
    const { file: appFile, code } = app(greeting);
    await writeFile(join(folder, appFile), code);
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), snippet(heading, language, TESTING_PAGE));
    return folder;
  }

  /** What the test runner prints, whether the test passes or fails. */
  async function runExample(greeting: string): Promise<string> {
    const shell: Tool = { command: 'sh', needs: tool.needs };
    const command = ['-c', '"$0" "$@" 2>&1; true', tool.command, ...args];
    return run(shell, command, { cwd: await project(greeting) });
  }

  it('is saved where it says', () => {
    expect(snippet(heading, language, TESTING_PAGE).split('\n')[0]).toBe(`# ${file}`);
  });

  it('passes', async () => {
    expect(await runExample('Hello')).toMatch(passed);
  });

  it('fails when the app posts something else', async () => {
    const printed = await runExample('Bye');
    expect(printed).toMatch(failed);
    expect(printed).toContain('Bye');
  });
});
