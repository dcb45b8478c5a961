import fc from 'fast-check';

/** JSON text that no serialiser would write: white space, escapes, odd numbers, repeated and strange keys. */
export const looseJson: fc.Arbitrary<string> = fc.letrec<{ value: string; text: string }>((tie) => {
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 2 });
  const text = fc
    .array(
      fc.oneof(
        fc
          .string({ unit: 'binary', maxLength: 3 })
          .map((part) => JSON.stringify(part).slice(1, -1)),
        fc.constantFrom('\\u006d', '\\\\', '\\"', '\\/', '{', '}', '[', ']', ',', ':', '\\ud800'),
      ),
      { maxLength: 4 },
    )
    .map((parts) => `"${parts.join('')}"`);
  const key = fc.oneof(
    fc.constantFrom('"message"', '"\\u006dessage"', '"__proto__"', '"1"', '"channel"', '"messag"'),
    text,
  );
  const list = (open: string, items: fc.Arbitrary<string[]>, close: string) =>
    fc
      .tuple(space, items, space)
      .map(([a, parts, b]) => open + a + parts.join(`${b},${a}`) + b + close);
  return {
    text,
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(
        'null',
        'true',
        'false',
        '0',
        '-0',
        '1.0',
        '1e3',
        '9007199254740993',
        '-1E-400',
      ),
      text,
      list('[', fc.array(tie('value') as fc.Arbitrary<string>, { maxLength: 4 }), ']'),
      list(
        '{',
        fc.array(
          fc
            .tuple(key, space, space, tie('value') as fc.Arbitrary<string>)
            .map(([name, a, b, value]) => `${name}${a}:${b}${value}`),
          { maxLength: 4 },
        ),
        '}',
      ),
    ),
  };
}).value;

/** Members of an object: the texts of their names and values. */
export const looseMembers = fc.array(
  fc.tuple(
    fc.constantFrom(
      '"message"',
      '"\\u006dessage"',
      '"channel"',
      '"__proto__"',
      '"message "',
      '"1"',
    ),
    looseJson,
  ),
  { maxLength: 5 },
);
