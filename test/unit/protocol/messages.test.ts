import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenVerifier } from '../../../src/auth/token-verifier.ts';
import { parseSubscription } from '../../../src/protocol/claims.ts';
import { memberText, memberTexts } from '../../../src/protocol/json.ts';
import { parseBroadcastBody, parseClientMessage } from '../../../src/protocol/messages.ts';
import { parsePublishing } from '../../../src/protocol/publishing.ts';
import { SECRET, signText } from '../../support/tokens.ts';

/** JSON text that no serialiser would write: white space, escapes, odd numbers, repeated and strange keys. */
const looseJson: fc.Arbitrary<string> = fc.letrec<{ value: string; text: string }>((tie) => {
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

const members = fc.array(
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

describe('memberText', () => {
  it('finds the text of the last member of that name, untouched', () => {
    fc.assert(
      fc.property(members, fc.constantFrom('', ' ', '\n\t'), (all, space) => {
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
      fc.tuple(members, space).map(([all, gap]) => {
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

describe('the parsers', () => {
  it('never throw on any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), looseJson), (text) => {
        parseClientMessage(text);
        parseBroadcastBody(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never throw on any claims and never let through what is not of the contract', () => {
    const anything = fc.jsonValue();
    const claims = fc.record(
      {
        channel: anything,
        channels: fc.oneof(anything, fc.array(fc.string())),
        message: anything,
        broadcasts: fc.oneof(
          anything,
          fc.array(
            fc.oneof(
              anything,
              fc.record(
                {
                  channel: anything,
                  channels: fc.array(fc.string()),
                  message: anything,
                  history: fc.boolean(),
                },
                { requiredKeys: [] },
              ),
            ),
          ),
        ),
        jti: anything,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(claims, (value) => {
        const json = JSON.stringify(value);
        const signed = { claims: JSON.parse(json), json };
        const broadcast = parsePublishing(signed, 255);
        if (broadcast.ok && 'channel' in broadcast.value) {
          expect(JSON.parse(broadcast.value.message)).toBeTypeOf('object');
          expect(broadcast.value.channel).toBe(value.channel);
        }
        if (broadcast.ok && 'publications' in broadcast.value) {
          const { publications, entrySizes } = broadcast.value;
          expect(publications.length).toBe(entrySizes.reduce((sum, size) => sum + size, 0));
          for (const each of publications) expect(JSON.parse(each.message)).toBeTypeOf('object');
        }
        const subscription = parseSubscription(signed, 255);
        if (subscription.ok) expect(subscription.value).toEqual(value.channels);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('TokenVerifier', () => {
  const tokens = new TokenVerifier(SECRET);

  it('never throws and refuses whatever was not signed', () => {
    const segment = fc.oneof(
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
      fc.constant(Buffer.from('{"alg":"HS512"}').toString('base64url')),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
        expect(tokens.verify(segments.join('.')).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('returns the very text that was signed', () => {
    fc.assert(
      fc.property(members, (all) => {
        const payload = `{${all.map(([key, value]) => `${key}:${value}`).join(',')}}`;
        const signed = tokens.verify(signText(payload));
        expect(signed).toMatchObject({ ok: true, value: { json: payload } });
      }),
      { numRuns: 500 },
    );
  });

  it('takes the secret as its UTF-8 bytes', () => {
    const secret = 'žluťoučký kůň '.repeat(8);
    expect(new TokenVerifier(secret).verify(signText('{}', { secret })).ok).toBe(true);
  });
});
