import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseArguments, parseOptions } from '../../../src/commands/arguments.ts';
import { UsageError } from '../../../src/commands/command.ts';

const OPTIONS = {
  channel: { type: 'string', short: 'c', multiple: true },
  raw: { type: 'boolean', short: 'r' },
  url: { type: 'string', short: 'u' },
} as const;

/** What the command says of these arguments. */
function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return '';
}

describe('parseArguments', () => {
  it('returns options in all their forms, and the arguments beside them', () => {
    const args = ['a', '-c', 'b', '--channel=-c', '-rc', 'd', '--url', '-', '--', '--raw'];
    const { values, positionals } = parseArguments(args, OPTIONS);
    expect(positionals).toEqual(['a', '--raw']);
    expect({ ...values }).toEqual({ channel: ['b', '-c', 'd'], raw: true, url: '-' });
  });

  const ADVICE = ' (what begins with - and is no option goes behind --)';
  it.each([
    [['--nonsense'], `there is no option --nonsense${ADVICE}`],
    [['--nonsense=1'], `there is no option --nonsense${ADVICE}`],
    [['-5'], `there is no option -5${ADVICE}`],
    [['-rx'], `there is no option -x${ADVICE}`],
    [['--__proto__'], `there is no option --__proto__${ADVICE}`],
    [['--toString'], `there is no option --toString${ADVICE}`],
    [['--chanel', 'a'], 'there is no option --chanel; did you mean --channel?'],
    [['--chan=a'], 'there is no option --chan; did you mean --channel?'],
    [['--URL', 'a'], 'there is no option --URL; did you mean --url?'],
    [['--hlep'], 'there is no option --hlep; did you mean --help?'],
    [['--raw=1'], '--raw takes no value'],
    [['--url'], '--url needs a value'],
    [['-u'], '-u needs a value'],
    [
      ['--url', '--raw'],
      '--url needs a value, and --raw looks like an option; if it is the value, write --url=--raw',
    ],
    [
      ['-u', '-x'],
      '-u needs a value, and -x looks like an option; if it is the value, write --url=-x',
    ],
  ])('says of %j: %s', (args, message) => {
    expect(refusal(() => parseArguments(args, OPTIONS))).toBe(message);
  });

  it('refuses in no other words than these, whatever it is given', () => {
    const piece = fc.constantFrom(
      '-',
      '--',
      '=',
      'c',
      'r',
      'u',
      'channel',
      'raw',
      'url',
      'no-',
      '',
    );
    const argument = fc.oneof(
      fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 5 }), (args) => {
        // Rethrows what is no UsageError.
        refusal(() => parseArguments(args, OPTIONS));
        refusal(() => parseOptions(args, OPTIONS));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('parseOptions', () => {
  it('refuses an argument beside the options', () => {
    expect(refusal(() => parseOptions(['--raw', 'a'], OPTIONS))).toBe(
      'takes no arguments, but got "a"',
    );
  });

  it('gives no advice for arguments that the command would not take', () => {
    expect(refusal(() => parseOptions(['-5'], OPTIONS))).toBe('there is no option -5');
  });
});
