import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenVerifier } from '../../../src/auth/token-verifier.ts';
import { parsePublication, parseSubscription } from '../../../src/protocol/claims.ts';
import { memberText } from '../../../src/protocol/json.ts';
import { parseBroadcastBody, parseClientMessage } from '../../../src/protocol/messages.ts';
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
      { channel: anything, channels: fc.oneof(anything, fc.array(fc.string())), message: anything },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(claims, (value) => {
        const json = JSON.stringify(value);
        const signed = { claims: JSON.parse(json), json };
        const broadcast = parsePublication(signed, 255);
        if (broadcast.ok) {
          expect(JSON.parse(broadcast.value.message)).toBeTypeOf('object');
          expect(broadcast.value.channel).toBe(value.channel);
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
