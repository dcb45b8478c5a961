import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'dotenv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDotenv } from '../../../src/config/dotenv.ts';
import { temporaryFolder } from '../../support/program.ts';
import { dotenvFile } from './dotenv-file.ts';

describe('a .env that cannot be read', () => {
  it('is a problem when it is a folder', async () => {
    const path = join(await temporaryFolder(), '.env');
    await mkdir(path);
    expect(readDotenv(path).problems).toEqual([
      expect.stringMatching(/\.env cannot be read: EISDIR/),
    ]);
  });

  it('is a problem when it is a link that leads nowhere, or in circles', async () => {
    const path = join(await temporaryFolder(), '.env');
    await symlink('nowhere', path);
    expect(readDotenv(path).problems).toEqual([expect.stringContaining('cannot be read: ENOENT')]);
    const circle = join(await temporaryFolder(), '.env');
    await symlink('.env', circle);
    expect(readDotenv(circle).problems).toEqual([expect.stringContaining('cannot be read: ELOOP')]);
  });

  it.each([
    ['NUL bytes', Buffer.from('PORT=1\n\0\n')],
    ['UTF-16', Buffer.from('\ufeffPORT=1\n', 'utf16le')],
    ['Latin-1', Buffer.from('# Schlüssel\nPORT=1\n', 'latin1')],
  ])('is a problem when it is %s', async (_what, content) => {
    const path = await dotenvFile(content);
    expect(readDotenv(path)).toEqual({
      variables: {},
      problems: [`${path} must be UTF-8 text without NUL bytes`],
    });
  });
});

describe('a .env that cannot be parsed', () => {
  const problem = (path: string, lines: string) =>
    `${path} has lines that are neither NAME=value nor a comment: ${lines}`;

  it('is a problem that names the lines and never shows them', async () => {
    const path = await dotenvFile(
      'PORT=1\nthe secret\n\n  # comment\n=x\nHOST\nA B=c\nHOST = a #b\n',
    );
    expect(readDotenv(path)).toEqual({
      variables: { PORT: '1', HOST: 'a' },
      problems: [problem(path, '2, 5, 6, 7')],
    });
  });

  it('names ten lines at most', async () => {
    const path = await dotenvFile('x\r\n'.repeat(10_000));
    expect(readDotenv(path).problems).toEqual([
      problem(path, '1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 9990 more'),
    ]);
  });

  it.each([
    ['nothing', ''],
    ['white space', ' \n\t\n'],
    ['a comment without an end', '# comment'],
    ['what a shell exports', 'export PORT=1\n'],
    ['white space and nothing', 'PORT =\n  HOST= \n'],
    ['a colon', 'PORT: 1\n'],
    ['strange names', 'a.b-c=1\n'],
    ['lines within quotes', 'KEY="-----BEGIN\nabc\n\n-----END"\nA=\'x\ny\'\nB=`x\ny` # comment\n'],
    ['quotes and hashes', 'A="#" # comment\nB=#\nC=it\'s\n'],
    ['a byte order mark and Windows line ends', '\ufeffPORT=1\r\n\r\n# x\r\nHOST=a\r\n'],
  ])('is not one with %s', async (_what, content) => {
    expect(readDotenv(await dotenvFile(content)).problems).toEqual([]);
  });

  it('names exactly the lines without which dotenv reads the same', async () => {
    const path = await dotenvFile('');
    const piece = fc.constantFrom(
      ...['A', 'b.c', '=', ': ', ' ', '\n', '\n', '#', '"', "'", '`', '\\', 'export ', 'é', '\r\n'],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 25 }), async (pieces) => {
        const text = pieces.join('');
        await writeFile(path, text);
        const { variables, problems } = readDotenv(path);
        const named = new Set(problems[0]?.split(': ')[1]?.split(', ').map(Number));
        const lines = text.split(/\r\n|\n/);
        expect(variables).toEqual(parse(text));
        expect(parse(lines.filter((_, index) => !named.has(index + 1)).join('\n'))).toEqual(
          variables,
        );
        for (const number of named) expect(parse(String(lines[number - 1]))).toEqual({});
      }),
      { numRuns: 500 },
    );
  });
});
