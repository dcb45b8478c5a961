/** A part of a page that is made by a program. */
const REGION = /(<!-- figures: ([\w-]+) -->\n\n).*?(\n\n<!-- end of figures -->)/gs;

/**
 * Replaces what is between the marks of each region of a page. Throws unless the page has each of `contents` once, and no
 * other.
 */
export function replaceRegions(page: string, contents: ReadonlyMap<string, string>): string {
  const left = new Set(contents.keys());
  const replaced = page.replaceAll(REGION, (_, start: string, name: string, end: string) => {
    const content = contents.get(name);
    if (content === undefined || !left.delete(name)) {
      throw new Error(`There is no content, or two places, for "${name}"`);
    }
    return start + content + end;
  });
  if (left.size > 0) throw new Error(`The page has no place for ${[...left].join(', ')}`);
  return replaced;
}
