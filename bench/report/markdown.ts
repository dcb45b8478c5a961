/** A Markdown table with aligned columns. The first column is text, the others are figures. */
export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = header.map((_, column) =>
    Math.max(MIN_WIDTH, ...[header, ...rows].map((row) => widthOf(row[column]))),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`;
  const alignment = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(header), line(alignment), ...rows.map(line)].join('\n');
}

/** What the line below the header needs. */
const MIN_WIDTH = 3;

/** In characters: no cell has one that is combined or wide. */
function widthOf(cell = ''): number {
  return [...cell].length;
}

function pad(cell: string, width: number, column: number): string {
  const padding = ' '.repeat(width - widthOf(cell));
  return column === 0 ? cell + padding : padding + cell;
}

/** The number with about three significant digits and a comma for thousands. */
export function formatFigure(value: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
