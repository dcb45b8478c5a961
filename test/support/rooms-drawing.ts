import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';

/** Room → the rooms that its files import, types included. */
type Imports = ReadonlyMap<string, ReadonlySet<string>>;

const WIDTH = 480;
const FIRST_COLUMN = 130;
const COLUMN = 37;
const FIRST_ROW = 122;
const ROW = 30;

/** What the files of each room of `src/` import from other rooms. */
export function readImports(): Imports {
  const rooms = readdirSync('src', { withFileTypes: true }).filter((each) => each.isDirectory());
  return new Map(rooms.map(({ name }) => [name, importsOf(name)]));
}

function importsOf(room: string): Set<string> {
  const imported = new Set<string>();
  for (const file of readdirSync(join('src', room), { recursive: true, withFileTypes: true })) {
    if (!file.name.endsWith('.ts')) continue;
    const text = readFileSync(join(file.parentPath, file.name), 'utf8');
    for (const [, path = ''] of text.matchAll(/\b(?:from|import)\s*\(?'(\.[^']+)'/g)) {
      const [src, other, ...rest] = normalize(join(file.parentPath, path)).split('/');
      if (src === 'src' && rest.length > 0 && other !== room) imported.add(String(other));
    }
  }
  return imported;
}

/** Rooms in an order in which each stands above all that it imports. Throws if that cannot be. */
function inOrder(imports: Imports): string[] {
  const depth = (room: string, above: readonly string[] = []): number => {
    if (above.includes(room)) throw new Error(`rooms import each other: ${[...above, room]}`);
    const depths = [...(imports.get(room) ?? [])].map((each) => depth(each, [...above, room]));
    return 1 + Math.max(0, ...depths);
  };
  return [...imports.keys()].toSorted((a, b) => depth(b) - depth(a) || a.localeCompare(b));
}

/** A table as SVG: a row for each room, and a dot in the column of each room that it imports. */
export function drawRooms(imports: Imports): string {
  const rooms = inOrder(imports);
  const columns = rooms.filter((room) => [...imports.values()].some((each) => each.has(room)));
  const bottom = FIRST_ROW + rooms.length * ROW;
  const x = (column: string) => FIRST_COLUMN + columns.indexOf(column) * COLUMN + COLUMN / 2;
  const sentences = rooms.map((room) => {
    const list = columns.filter((column) => imports.get(room)?.has(column));
    return `${room} imports ${list.join(', ') || 'none'}.`;
  });
  const heads = columns.flatMap((column) => [
    `  <path class="thin" d="M${x(column)} ${FIRST_ROW - 6}V${bottom - 8}"/>`,
    `  <text transform="translate(${x(column) + 5} ${FIRST_ROW - 14}) rotate(-90)">${column}/</text>`,
  ]);
  const rows = rooms.flatMap((room, index) => {
    const y = FIRST_ROW + index * ROW + ROW / 2 - 2;
    const dots = columns.filter((column) => imports.get(room)?.has(column));
    return [
      `  <path class="thin" d="M16 ${y}H${WIDTH - 16}"/>`,
      `  <text class="row" x="16" y="${y + 5}">${room}/</text>`,
      ...dots.map((column) => `  <circle class="dot" cx="${x(column)}" cy="${y}" r="8"/>`),
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 4}" width="${WIDTH}" height="${bottom + 4}" role="img" aria-labelledby="title desc" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif" font-size="15">
  <title id="title">Which room of src/ imports which</title>
  <desc id="desc">${sentences.join(' ')}</desc>
  <style>
    svg { --ground: #ffffff; --ink: #1f2328; --edge: #d1d9e0; --accent: #0969da; }
    @media (prefers-color-scheme: dark) {
      svg { --ground: #0d1117; --ink: #f0f6fc; --edge: #3d444d; --accent: #58a6ff; }
    }
    .ground { fill: var(--ground); }
    .thin { fill: none; stroke: var(--edge); stroke-width: 1; }
    .dot { fill: var(--accent); }
    text { fill: var(--ink); }
    .row { font-weight: 600; stroke: var(--ground); stroke-width: 8px; paint-order: stroke; }
  </style>
  <rect class="ground" width="${WIDTH}" height="${bottom + 4}" rx="8"/>
  <text x="16" y="${FIRST_ROW - 14}">imports</text>
${[...heads, ...rows].join('\n')}
</svg>
`;
}
