import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SECRET } from '../support/tokens.ts';
import { bifrost, start } from './bifrost.ts';

const NAMES = ['start', 'secret', 'token', 'broadcast', 'listen', 'check', 'test-server'];

describe('bifrost', () => {
  it.each([[[]], [['help']], [['--help']], [['-h']], [['help', '--help']]])(
    'says what it can do: %j',
    async (args) => {
      const { code, stdout, stderr } = await bifrost(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const name of NAMES) expect.soft(stdout).toContain(`\n  ${name.padEnd(11)} `);
    },
  );

  it.each(NAMES)('says how %s is called', async (name) => {
    const [option, command] = await Promise.all([
      bifrost([name, '--help']),
      bifrost(['help', name]),
    ]);
    expect({ code: option.code, stderr: option.stderr }).toEqual({ code: 0, stderr: '' });
    expect(option.stdout).toMatch(new RegExp(`^bifrost ${name}\\b`));
    expect(command).toEqual(option);
  });

  it.each([
    [['brodcast', 'a', '{}'], 'there is no command "brodcast"; did you mean broadcast?'],
    [['help', 'lisen'], 'there is no command "lisen"; did you mean listen?'],
    [['--versoin'], 'there is no option --versoin; did you mean --version?'],
    [['nonsense'], 'there is no command "nonsense"'],
  ])('names what it takes a name for that it does not know: %j', async (args, problem) => {
    expect(await bifrost(args)).toEqual({
      code: 2,
      stdout: '',
      stderr: `bifrost: ${problem} (bifrost help lists them)\n`,
    });
  });

  it('says in its own words what is wrong with an option', async () => {
    const { code, stderr } = await bifrost(['listen', 'a', '--ulr', 'http://localhost']);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'bifrost listen: there is no option --ulr; did you mean --url? (bifrost listen --help says more)\n',
    );
  });

  it('ends quietly when nobody reads what it prints', async () => {
    const unread = async (args: string[]) => {
      const program = await start(args);
      program.child.stdout?.destroy();
      program.child.stderr?.destroy();
      return (await program.ended).code;
    };
    // The exit codes are those of the commands.
    expect(await Promise.all([['help'], ['check'], ['secret', 'extra']].map(unread))).toEqual([
      0, 0, 2,
    ]);
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await bifrost(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['nonsense']],
    [['toString']],
    [['help', 'nonsense']],
    [['secret', 'extra']],
    [['start', '--port', '1']],
    [['token']],
    [['token', '--channel', 'a', '--nonsense']],
    [['token', '--channel', 'a', '--expires', '1y']],
    [['token', '--channel', 'a', '--expires', '0s']],
    [['token', '--channel', 'a', '--expires', '60']],
    [['broadcast', 'a']],
    [['broadcast', 'a', '{}', 'b']],
    [['broadcast', 'a', '[]']],
    [['broadcast', 'a', '{"event":']],
    [['broadcast', 'a', '{},"exp":9e9']],
    [['broadcast', '--channel', 'a']],
    [['broadcast', 'a', '{}', '--url']],
    [['broadcast', 'a', '-5']],
    [['broadcast', '--channel', 'a', 'b', '{}', 'c']],
    [['broadcast', '{}']],
    [['broadcast', '--lines']],
    [['broadcast', '--lines', 'a', '-']],
    [['broadcast', '--lines', '-', '--channel', 'a']],
    [['token', 'a', '{}']],
    [['token', '--channel', 'a', '{}']],
    [['token', '--broadcast', 'a']],
    [['token', '--broadcast', 'a', 'b', '{}']],
    [['token', '--broadcast', 'a', '[]']],
    [['token', '--broadcast', 'a', '{}', '--channel', 'b']],
    [['listen']],
    [['listen', 'a', '--url', 'localhost']],
    [['listen', 'a', '--url', 'ftp://example.com']],
    [['listen', 'a', '--url', 'http://user:password@example.com']],
    [['test-server', 'a']],
    [['test-server', '--set', 'HISTORY_MESSAGES']],
    [['check', '--nonsense=\nsecond line']],
    [['check', '--nonsense\nsecond line']],
    [['check', '--url', 'localhost']],
  ])('answers a call that it does not know with 2 and one line: %j', async (call) => {
    const { code, stdout, stderr } = await bifrost(call);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^bifrost( [\w-]+)?: .*help.*\n$/);
  });
});

describe('bifrost start', () => {
  it('runs the server, which ends with 0 on SIGTERM', async () => {
    const program = await start(['start'], { JWT_SECRET: SECRET, HOST: '127.0.0.1', PORT: '0' });
    const port = await program.listening();
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('ends with 1 when the configuration cannot be used', async () => {
    const { code, stderr } = await bifrost(['start'], { JWT_SECRET: SECRET, PORT: '-1' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Invalid configuration:\n {2}- PORT .*\n$/);
  });
});

describe('bifrost secret', () => {
  it('prints 64 random bytes, others each time', async () => {
    const [one, two] = await Promise.all([bifrost(['secret'], {}), bifrost(['secret'], {})]);
    expect(one).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^[0-9a-f]{128}\n$/),
      stderr: '',
    });
    expect(two.code).toBe(0);
    expect(two.stdout).not.toBe(one.stdout);
  });
});
