import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawRooms, readImports } from '../support/rooms-drawing.ts';

describe('docs/images/rooms.svg', () => {
  it('shows what the rooms import; "npm test -- architecture -u" draws it', async () => {
    await expect(drawRooms(readImports())).toMatchFileSnapshot('../../docs/images/rooms.svg');
  });

  it('would show another import', () => {
    const imports = new Map(readImports());
    imports.set('hub', new Set(['protocol', 'broker']));
    expect(() => drawRooms(imports)).toThrow('rooms import each other');
    imports.set('hub', new Set(['protocol', 'auth']));
    expect(drawRooms(imports)).toContain('hub imports auth, protocol.');
    expect(drawRooms(readImports())).toContain('hub imports protocol.');
  });
});

describe.each(['one-broadcast', 'one-subscription'])('docs/images/%s.svg', (name) => {
  it('names files that are there, the same in its description', () => {
    const text = readFileSync(`docs/images/${name}.svg`, 'utf8');
    const drawn = [...text.matchAll(/class="code"[^>]*>([^<]*)</g)].map(([, path]) => String(path));
    expect(drawn.length).toBeGreaterThan(5);
    const description = /<desc[^>]*>([^<]*)</.exec(text)?.[1];
    for (const path of drawn) {
      expect.soft(existsSync(join('src', path)), path).toBe(true);
      expect.soft(description, path).toContain(path);
    }
  });
});
