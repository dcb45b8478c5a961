import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

interface Fault {
  readonly at: number;
  readonly line: number;
  readonly column: number;
  readonly problem: string;
}

/** The playground's own module, which has no types. */
const module = new URL('../../../src/pages/assets/playground/json.js', import.meta.url);
const {
  faultOf,
  pretty,
}: {
  faultOf(text: string): Fault | undefined;
  pretty(text: string): string;
} = await import(module.href);

function isObjectText(text: string): boolean {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

describe('the fault of a message', () => {
  it.each([
    ['', 1, 1, 'A value is missing at the end.'],
    ['[]', 1, 1, 'A message is an object, in braces: {"event":"greeting"}.'],
    ['  7', 1, 3, 'A message is an object, in braces: {"event":"greeting"}.'],
    ['{"a":1', 1, 7, 'A comma or } is missing at the end.'],
    ['{"a":[1 2]}', 1, 9, 'A comma or ] is missing before 2.'],
    ['{"a":1}}', 1, 8, 'The object has ended, but there is more: }.'],
    ['{"a":1,}', 1, 8, 'A name in double quotes is missing before }.'],
    ['{\n  "a": 1,\n  b: 2\n}', 3, 3, 'A name in double quotes is missing before b.'],
    ['{"a" 1}', 1, 6, 'A colon is missing before 1.'],
    ["{'a':1}", 1, 2, "A name in double quotes is missing before '. Strings need double quotes."],
    ['{"a":\'b\'}', 1, 6, "A value is missing before '. Strings need double quotes."],
    ['{"a":}', 1, 6, 'A value is missing before }.'],
    ['{"a":01}', 1, 6, 'A value is missing before 01.'],
    ['{"a":True}', 1, 6, 'A value is missing before True.'],
    ['{"a":"b}', 1, 6, 'This string has no closing double quote.'],
    ['{"a":"b\n"}', 1, 8, 'A string must not have a line break or tab in it: write \\n or \\t.'],
    ['{"a":"\\x"}', 1, 7, 'Nothing in JSON is written with this backslash; for itself write two.'],
  ])('of %j is told with its place', (text, line, column, problem) => {
    expect(faultOf(text)).toMatchObject({ line, column, problem });
  });

  it('is found in every text that is no object, and in no other', () => {
    const holds = (text: string) => {
      const fault = faultOf(text);
      expect(fault === undefined).toBe(isObjectText(text));
      if (fault === undefined) return;
      expect(fault.problem).toMatch(/\.$/);
      expect(fault.at).toBeLessThanOrEqual(text.length);
      // What stands before it is not at fault: with a value or an end in its place it could go on.
      const before = text.slice(0, fault.at).split('\n');
      expect([fault.line, fault.column]).toEqual([before.length, (before.at(-1) ?? '').length + 1]);
    };
    fc.assert(fc.property(fc.string(), holds));
    fc.assert(fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => holds(`{${text}}`)));
    fc.assert(
      fc.property(fc.json(), fc.string({ maxLength: 2 }), fc.string(), (text, inserted, seed) => {
        const at = [...seed].reduce((sum, each) => sum + (each.codePointAt(0) ?? 0), 0);
        const place = at % (text.length + 1);
        holds(text.slice(0, place) + inserted + text.slice(place + 1));
      }),
    );
  });
});

describe('a message that is opened', () => {
  it('has a member to a line, and every value as it was', () => {
    expect(
      pretty('{"b":9007199254740993, "1":1.0,"a":[1e3,{}, []],"\\u00e9":"{\\"x\\": [,]}"}'),
    ).toBe(
      [
        '{',
        '  "b": 9007199254740993,',
        '  "1": 1.0,',
        '  "a": [',
        '    1e3,',
        '    {},',
        '    []',
        '  ],',
        '  "\\u00e9": "{\\"x\\": [,]}"',
        '}',
      ].join('\n'),
    );
  });

  it('reads as JSON.stringify writes it', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(pretty(text)).toBe(JSON.stringify(JSON.parse(text), null, 2));
      }),
    );
  });

  it('is left alone when it is no JSON, and takes little room when it is deep', () => {
    expect(pretty('{"a"')).toBe('{"a"');
    const deep = '['.repeat(5_000) + ']'.repeat(5_000);
    expect(pretty(deep).length).toBeLessThan(100 * deep.length);
  });
});
