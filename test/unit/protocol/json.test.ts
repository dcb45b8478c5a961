import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memberText, memberTexts } from '../../../src/protocol/json.ts';
import { looseMembers } from '../../support/loose-json.ts';

describe('memberText', () => {
  it('finds the text of the last member of that name, untouched', () => {
    fc.assert(
      fc.property(looseMembers, fc.constantFrom('', ' ', '\n\t'), (all, space) => {
        const json = `${space}{${space}${all
          .map(([key, value]) => `${key}${space}:${space}${value}`)
          .join(`${space},${space}`)}${space}}${space}`;
        const expected = all.filter(([key]) => JSON.parse(key) === 'message').at(-1)?.[1];
        expect(memberText(json, 'message')).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('has the same value as JSON.parse finds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.nat({ max: 3 }),
        (object, indent) => {
          const json = JSON.stringify(object, null, indent);
          for (const [name, value] of Object.entries(JSON.parse(json))) {
            expect(JSON.parse(memberText(json, name) ?? '')).toEqual(value);
          }
          expect(memberText(json, 'a name that is not there')).toBeUndefined();
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('takes deep nesting and long runs of backslashes without recursion or quadratic time', () => {
    const deep = `${'[{"a":'.repeat(100_000)}1${'}]'.repeat(100_000)}`;
    expect(memberText(`{"a":${deep},"message":${deep}}`, 'message')).toBe(deep);
    const slashes = `"${'\\\\\\"'.repeat(200_000)}"`;
    expect(memberText(`{"message":${slashes}}`, 'message')).toBe(slashes);
  });
});

/** Finds what `memberTexts` finds, slowly: the members of an object and the items of an array by trying every end. */
function slowTexts(json: string): (string | undefined)[] {
  const isWhole = (text: string) => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  /** Cuts the inside of an object or array into its parts: the shortest pieces up to a comma that are whole. */
  const parts = (text: string, wrap: (part: string) => string): string[] => {
    const inside = text.trim().slice(1, -1);
    const found: string[] = [];
    let start = 0;
    for (let end = 0; end <= inside.length; end += 1) {
      if (end < inside.length && inside[end] !== ',') continue;
      if (!isWhole(wrap(inside.slice(start, end)))) continue;
      found.push(inside.slice(start, end));
      start = end + 1;
    }
    return found;
  };
  const member = (text: string, name: string): string | undefined => {
    let found: string | undefined;
    for (const part of parts(text, (each) => `{${each}}`)) {
      for (let colon = part.indexOf(':'); colon !== -1; colon = part.indexOf(':', colon + 1)) {
        const key = part.slice(0, colon);
        if (!isWhole(key)) continue;
        if (JSON.parse(key) === name) found = part.slice(colon + 1).trim();
        break;
      }
    }
    return found;
  };
  return parts(member(json, 'broadcasts') ?? '[]', (each) => `[${each}]`)
    .filter((item) => item.trim() !== '')
    .map((item) => member(item, 'message'));
}

describe('memberTexts', () => {
  it('finds the same texts as a slow search for every part', () => {
    const space = fc.constantFrom('', ' ', '\n\t');
    const objects = fc.array(
      fc.tuple(looseMembers, space).map(([all, gap]) => {
        const list = all.map(([key, value]) => `${key}${gap}:${gap}${value}`);
        return `{${gap}${list.join(`${gap},${gap}`)}${gap}}`;
      }),
      { maxLength: 4 },
    );
    const outer = fc.constantFrom('"broadcasts"', '"\\u0062roadcasts"', '"message"', '"x"');
    const lists = fc.array(fc.tuple(outer, objects), { maxLength: 3 });
    fc.assert(
      fc.property(lists, space, (all, gap) => {
        const texts = all.map(
          ([key, list]) => `${key}${gap}:[${gap}${list.join(`${gap},`)}${gap}]`,
        );
        const json = `${gap}{${texts.join(`${gap},${gap}`)}${gap}}`;
        expect(memberTexts(json, 'broadcasts', 'message')).toEqual(slowTexts(json));
        const parsed = JSON.parse(json).broadcasts ?? [];
        expect(
          memberTexts(json, 'broadcasts', 'message').map((text) => JSON.parse(text ?? '0')),
        ).toEqual(
          parsed.map((item: { message?: unknown }) =>
            Object.hasOwn(item, 'message') ? item.message : 0,
          ),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes 1,000 objects, deep nesting and long lists without recursion or quadratic time', () => {
    const deep = `${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`;
    const items = Array.from({ length: 1_000 }, (_, n) => `{"x":[${n}],"message":{"n":${n}}}`);
    const json = `{"a":${deep},"broadcasts":[{"message":${deep}},${items}]}`;
    const texts = memberTexts(json, 'broadcasts', 'message');
    expect(texts).toHaveLength(1_001);
    expect(texts[0]).toBe(deep);
    expect(texts[1_000]).toBe('{"n":999}');
  });
});
