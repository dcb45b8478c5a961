import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readPage } from '../support/snippets.ts';

const FOLDERS = ['.', 'docs', 'packages/bifrost-client'];
const FILES = FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** Text outside of code. */
function proseOf(file: string): string {
  return readPage(file).text.replaceAll(/^```.*?^```$/gms, '');
}

/** The targets of a page's links, those to other sites left out. */
function targetsOf(file: string): string[] {
  const links = proseOf(file).matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].map((link) => String(link[1])).filter((target) => !/^\w+:/.test(target));
}

/** Headings as GitHub names them: in lower case, without punctuation, and with a dash for each space. */
function anchorsOf(file: string): string[] {
  return [...proseOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(FILES)('the links of %s', (file) => {
  it('lead to files and headings that are there', () => {
    for (const target of targetsOf(file)) {
      const [path = '', anchor] = target.split('#');
      const linked = path === '' ? file : relative('.', join(dirname(file), path));
      expect.soft(existsSync(linked), target).toBe(true);
      if (anchor !== undefined) expect.soft(anchorsOf(linked), target).toContain(anchor);
    }
  });
});

describe('the links of the documentation', () => {
  it('lead from the README to every page of docs/', () => {
    const pages = FILES.filter((file) => file.startsWith('docs/'));
    const targets = targetsOf('README.md').map((target) => target.split('#')[0]);
    expect(pages.length).toBeGreaterThan(0);
    expect(targets).toEqual(expect.arrayContaining(pages));
  });

  it('lead from every page of docs/ back to the README', () => {
    const pages = FILES.filter((file) => file.startsWith('docs/'));
    for (const page of pages) {
      expect
        .soft(
          targetsOf(page).some((target) => target.startsWith('../README.md')),
          page,
        )
        .toBe(true);
    }
  });
});
