import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';
import { readPage } from '../support/snippets.ts';

const FOLDER = 'docs/images';
const PAGES = ['README.md', ...readdirSync('docs').map((name) => join('docs', name))].filter(
  (file) => file.endsWith('.md'),
);
/** What a page on a phone of 390 px leaves for a picture. */
const PHONE_WIDTH = 358;
const MIN_FONT_PX = 9;

interface Image {
  readonly page: string;
  /** From the root of the repository. */
  readonly path: string;
  readonly alt: string;
}

/** The pictures of this repository that the pages show, in Markdown and in HTML. */
function imagesOf(page: string): Image[] {
  const text = readPage(page).text.replaceAll(/^```.*?^```$/gms, '');
  const markdown = [...text.matchAll(/!\[([^\]]*)\]\(([^)\s]+)[^)]*\)/g)].map(([, alt, path]) => ({
    alt,
    path,
  }));
  const html = [...text.matchAll(/<img\b[^>]*>/g)].map(([tag]) => ({
    alt: /\balt="([^"]*)"/.exec(tag)?.[1],
    path: /\bsrc="([^"]*)"/.exec(tag)?.[1],
  }));
  const sources = [...text.matchAll(/<source\b[^>]*\bsrcset="([^"\s]*)/g)].map(([, path]) => ({
    alt: 'that of its <img>',
    path,
  }));
  return [...markdown, ...html, ...sources]
    .filter(({ path = '' }) => !/^\w+:/.test(path))
    .map(({ alt = '', path = '' }) => ({ page, alt, path: normalize(join(dirname(page), path)) }));
}

const IMAGES = PAGES.flatMap(imagesOf);
const FILES = readdirSync(FOLDER).map((name) => join(FOLDER, name));
const DRAWINGS = FILES.filter((file) => file.endsWith('.svg'));

describe('the pictures of the docs', () => {
  it('are there, and say in words what they show', () => {
    expect(IMAGES.length).toBeGreaterThan(0);
    for (const { page, path, alt } of IMAGES) {
      expect.soft(existsSync(path), `${page}: ${path}`).toBe(true);
      expect.soft(alt.split(' ').length, `${page}: the text of ${path}`).toBeGreaterThan(2);
    }
  });

  it('are all shown somewhere', () => {
    expect(IMAGES.map(({ path }) => path)).toEqual(expect.arrayContaining(FILES));
  });
});

/** The elements within `svg` with their attributes and text. Throws unless the text is well-formed XML. */
function parseDrawing(text: string): { name: string; attributes: object; text: string }[] {
  const elements: { name: string; attributes: object; text: string }[] = [];
  const open: { text: string }[] = [];
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name, attributes }) => {
    const element = { name, attributes, text: '' };
    elements.push(element);
    open.push(element);
  });
  parser.on('text', (part) => {
    const last = open.at(-1);
    if (last !== undefined) last.text += part;
  });
  parser.on('closetag', () => void open.pop());
  parser.write(text).close();
  return elements;
}

describe.each(DRAWINGS)('%s', (file) => {
  const text = readFileSync(file, 'utf8');

  it('is a drawing with a title and a description', () => {
    const elements = parseDrawing(text);
    const textOf = (name: string) => elements.find((each) => each.name === name)?.text.trim();
    expect(elements[0]).toMatchObject({
      name: 'svg',
      attributes: { xmlns: 'http://www.w3.org/2000/svg', viewBox: expect.stringMatching(/^0 0 /) },
    });
    expect(textOf('title')).toMatch(/\w/);
    expect(textOf('desc')).toMatch(/\w/);
    expect(() => parseDrawing(text.replace('</title>', ''))).toThrow();
  });

  it('is drawn for a light and for a dark page', () => {
    expect(text).toContain('@media (prefers-color-scheme: dark)');
  });

  it('loads nothing and runs nothing', () => {
    const names = parseDrawing(text).map(({ name }) => name);
    for (const name of ['script', 'image', 'foreignObject', 'use']) {
      expect(names).not.toContain(name);
    }
    expect(text.replace('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|@import|url\((?!#)/,
    );
  });

  it('can be read on a phone', () => {
    const width = Number(/viewBox="0 0 ([\d.]+) /.exec(text)?.[1]);
    const sizes = [...text.matchAll(/font-size(?:="|:\s*)([\d.]+)/g)].map(([, size]) =>
      Number(size),
    );
    expect(sizes.length).toBeGreaterThan(0);
    const scale = Math.min(1, PHONE_WIDTH / width);
    expect(Math.min(...sizes) * scale).toBeGreaterThanOrEqual(MIN_FONT_PX);
  });
});
