import { readFileSync } from 'node:fs';

export const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The one code block in this language of the README's section with this heading. */
export function snippet(heading: string, language: string): string {
  const blocks = [...section(heading).matchAll(/^```(\S*)\n(.*?)^```$/gms)].filter(
    (block) => block[1] === language,
  );
  const [only] = blocks;
  if (only?.[2] === undefined || blocks.length > 1) {
    throw new Error(`README, "${heading}": expected one ${language} block, not ${blocks.length}`);
  }
  return only[2];
}

/** The rows of the README's table with this header (its cells joined by ` | `), each cell as written. */
export function table(header: string): string[][] {
  const lines = README.split('\n');
  const start = lines.findIndex((line) => cells(line)?.join(' | ') === header);
  if (start === -1) throw new Error(`README: no table has the header "${header}"`);

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
function section(heading: string): string {
  const lines = README.split('\n');
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
  if (level === 0) throw new Error(`README: no section is called "${heading}"`);
  return found.join('\n');
}
