import { readFileSync } from 'node:fs';

/** A page of the documentation. */
export interface Page {
  /** From the root of the repository. */
  readonly file: string;
  readonly text: string;
}

export const README_PAGE = readPage('README.md');
export const README = README_PAGE.text;
/** The pages about the server, its protocol and those who use it, as one: none of their headings occurs twice. */
const SERVER_PAGES: Page = {
  file: 'docs/',
  text: [
    'browser',
    'configuration',
    'migrating-from-crystal',
    'operating',
    'performance',
    'protocol',
    'reliability',
    'scaling',
    'servers',
  ]
    .map((name) => readPage(`docs/${name}.md`).text)
    .join('\n'),
};
export const ARCHITECTURE_PAGE = readPage('docs/architecture.md');
export const RECOVERY_PAGE = readPage('docs/recovery.md');
export const TESTING_PAGE = readPage('docs/testing.md');

export function readPage(file: string): Page {
  return { file, text: readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8') };
}

/** The one code block in this language of the page's section with this heading. */
export function snippet(heading: string, language: string, page = SERVER_PAGES): string {
  const blocks = [...section(heading, page).matchAll(/^```(\S*)\n(.*?)^```$/gms)].filter(
    (block) => block[1] === language,
  );
  const [only] = blocks;
  if (only?.[2] === undefined || blocks.length > 1) {
    throw new Error(
      `${page.file}, "${heading}": expected one ${language} block, not ${blocks.length}`,
    );
  }
  return only[2];
}

/** The rows of the page's table with this header (its cells joined by ` | `), each cell as written. */
export function table(header: string, { file, text } = SERVER_PAGES): string[][] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => cells(line)?.join(' | ') === header);
  if (start === -1) throw new Error(`${file}: no table has the header "${header}"`);

  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    const row = cells(line);
    if (row === undefined) break;
    rows.push(row);
  }
  return rows;
}

function cells(line: string): string[] | undefined {
  if (!line.startsWith('|')) return undefined;
  const texts = line.slice(1, -1).split('|');
  return texts.map((text) => text.trim());
}

/** The text between a heading and the next one of its level or above. */
function section(heading: string, { file, text }: Page): string {
  const lines = text.split('\n');
  let level = 0;
  let inCode = false;
  const found: string[] = [];
  for (const line of lines) {
    if (line.startsWith('```')) inCode = !inCode;
    // In code a line that starts with # is a comment.
    const hashes = inCode ? 0 : (/^(#+) /.exec(line)?.[1]?.length ?? 0);
    if (level > 0 && hashes > 0 && hashes <= level) break;
    if (level > 0) found.push(line);
    else if (hashes > 0 && line.slice(hashes + 1) === heading) level = hashes;
  }
  if (level === 0) throw new Error(`${file}: no section is called "${heading}"`);
  return found.join('\n');
}
