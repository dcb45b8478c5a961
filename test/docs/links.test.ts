import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/commands/commands.ts';
import { variableNames } from '../../src/config/settings.ts';
import { readPage } from '../support/snippets.ts';

/** Of Node, the allocator and the app, and the misspelt one of an example. */
const OTHER_VARIABLES = [
  'BIFROST_URL',
  'MALLOC_TRIM_THRESHOLD_',
  'MAX_CONECTIONS',
  'NODE_EXTRA_CA_CERTS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
];

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
  const links = proseOf(file).matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset)="([^"]+)"/g);
  return [...links]
    .map(([, link, picture]) => String(link ?? picture))
    .filter((target) => !/^\w+:/.test(target));
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

it.each(FILES)('%s has no marks of a merge', (file) => {
  expect(readPage(file).text).not.toMatch(/^(<{7}|={7}|>{7})( |$)/m);
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

/** Code in the text of a page, such as `npm test`. */
function codeOf(file: string): string[] {
  return [...proseOf(file).matchAll(/`([^`\n]+)`/g)].map((match) => String(match[1]));
}

describe.each(FILES.filter((file) => file === 'README.md' || file.startsWith('docs/')))(
  'what %s names',
  (file) => {
    it('are paths that are there', () => {
      const paths = codeOf(file).filter((text) =>
        /^(src|test|bench|deploy|docs|scripts|packages|examples)\/[\w./-]*$/.test(text),
      );
      for (const path of paths) expect.soft(existsSync(path), path).toBe(true);
    });

    it('are scripts and commands that there are', () => {
      const { scripts } = JSON.parse(readPage('package.json').text);
      const text = readPage(file).text;
      const known = ['ci', 'pack', 'install', 'prune', ...Object.keys(scripts)];
      for (const [, , name = ''] of text.matchAll(/\bnpm (run )?([a-z][\w:]*)\b/g)) {
        expect.soft(known, `npm ${name}`).toContain(name);
      }
      const commands = [...COMMANDS.keys()];
      for (const [, name = ''] of text.matchAll(/npx --no-install bifrost ([a-z-]+)/g)) {
        expect.soft(commands, `bifrost ${name}`).toContain(name);
      }
      expect(text).not.toMatch(/npx (?!--no-install)\S*bifrost|npm (i|install|add) bifrost/);
    });

    it('are variables that the server or its tools know', () => {
      const known = new Set([...variableNames, ...OTHER_VARIABLES]);
      const names = codeOf(file)
        .map((text) => /^([A-Z][A-Z0-9]*_[A-Z0-9_]+)(=\S*)?$/.exec(text)?.[1])
        .filter((name) => name !== undefined);
      for (const name of names) expect.soft(known.has(name), name).toBe(true);
    });
  },
);

describe('the pictures of the documentation', () => {
  const pictures = readdirSync('docs/images').filter((name) => name.endsWith('.png'));

  it.each(pictures)('are shown somewhere, and small: %s', (name) => {
    const shown = FILES.flatMap((file) =>
      targetsOf(file).map((target) => relative('.', join(dirname(file), target))),
    );
    expect(shown).toContain(`docs/images/${name}`);
    expect(statSync(`docs/images/${name}`).size).toBeLessThan(150_000);
  });

  it('say in words what they show', () => {
    for (const file of FILES) {
      const images = [...proseOf(file).matchAll(/!\[([^\]]*)\]|<img\b(?:[^>]*? alt="([^"]*)")?/g)];
      for (const [image, text, alt] of images) {
        expect.soft((text ?? alt ?? '').length, `${file}: ${image}`).toBeGreaterThan(5);
      }
    }
  });
});

it('the README takes two minutes: 10 KB at most', () => {
  expect(Buffer.byteLength(readPage('README.md').text)).toBeLessThanOrEqual(10_240);
});
