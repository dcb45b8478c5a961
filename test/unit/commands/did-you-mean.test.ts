import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../src/commands/commands.ts';
import { didYouMean } from '../../../src/commands/did-you-mean.ts';

const NAMES = [...COMMANDS.keys(), 'help'];

describe('didYouMean', () => {
  it.each([
    ['brodcast', 'broadcast'],
    ['Broadcast', 'broadcast'],
    ['boradcsat', 'broadcast'],
    ['broad', 'broadcast'],
    ['listne', 'listen'],
    ['lisen', 'listen'],
    ['secert', 'secret'],
    ['tokne', 'token'],
    ['tokens', 'token'],
    ['chekc', 'check'],
    ['strat', 'start'],
    ['hlep', 'help'],
    ['testserver', 'test-server'],
    ['test', 'test-server'],
  ])('names the command that "%s" nearly is: %s', (text, meant) => {
    expect(didYouMean(text, NAMES)).toBe(`; did you mean ${meant}?`);
  });

  it.each(['', 'x', 'nonsense', 'subscribe', 'toString', '__proto__', 'b', 'x'.repeat(100_000)])(
    'names none for what only looks alike',
    (text) => {
      expect(didYouMean(text, NAMES)).toBe('');
    },
  );

  it('names the nearest of several', () => {
    expect(didYouMean('abcdef', ['abcxyf', 'abcdex'])).toBe('; did you mean abcdex?');
  });

  it('puts a prefix before the name', () => {
    expect(didYouMean('ulr', ['raw', 'url'], '--')).toBe('; did you mean --url?');
  });
});
