import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { publish, received } from '../support/batch-requests.ts';
import type { TestClient } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { now, sign } from '../support/tokens.ts';

const message = { n: 1 };

describe('POST /broadcast with several broadcasts', () => {
  it('hands all of them out and answers with the deliveries of each, in their order', async () => {
    const server = await startServer();
    const alice = await (await server.connect()).subscribe('user:1', 'a');
    const bob = await (await server.connect()).subscribe('a', 'b');
    expect(
      await publish(server, {
        broadcasts: [
          { channel: 'user:1', message: { n: 1 } },
          { channels: ['a', 'b', 'a'], message: { n: 2 }, history: false },
          { channel: 'nobody', message: { n: 3 }, history: true },
        ],
        jti: 'one',
        exp: now() + 60,
        history: 'ignored like any unknown claim',
      }),
    ).toEqual([
      200,
      '{"message":"Success","deliveries":6,"results":[{"deliveries":1},{"deliveries":5},{"deliveries":0}]}',
    ]);
    expect(await received(alice)).toEqual(['{"n":1}', '{"n":2}', '{"n":2}']);
    expect(await received(bob)).toEqual(['{"n":2}', '{"n":2}', '{"n":2}']);
  });

  it('delivers each message as it was signed', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    const texts = [
      '{"b":1.0, "1":1e3,"0":9007199254740993,"b":"\\u0041]}"}',
      '{ "__proto__" : {} ,\n"list":[{"message":{"n":1}},[[]],"}"]}',
      '{}',
    ];
    const entries = [
      `{"channel":"a","message":{"lost":1},"\\u006dessage":${texts[0]}}`,
      `{"message":${texts[1]} , "x":{"message":{}},"channels":["a"]}`,
      `{"channel":"a","message":${JSON.stringify(texts[2])}}`,
    ];
    const claims = `{"broadcasts":[{"channel":"a","message":{"lost":2}}],"\\u0062roadcasts": [ ${entries.join(' , ')} ] ,"x":{"broadcasts":[]}}`;
    expect((await publish(server, claims))[0]).toBe(200);
    expect(await received(client)).toEqual(texts);
  });

  const good = { channel: 'a', message };
  const many = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);

  it.each<[string, unknown, string]>([
    ...['channel', 'channels', 'message'].flatMap((name): [string, unknown, string][] => [
      [
        `${name} beside broadcasts`,
        { broadcasts: [good], [name]: 'a' },
        'A token has either broadcasts or channel and message',
      ],
      [
        `null as ${name} beside broadcasts`,
        { broadcasts: 1, [name]: null },
        'A token has either broadcasts or channel and message',
      ],
    ]),
    ...[null, {}, [], 'x', 0].map((broadcasts): [string, unknown, string] => [
      `${JSON.stringify(broadcasts)} as broadcasts`,
      { broadcasts },
      'broadcasts must be an array of objects',
    ]),
    ...[null, [], 'x', 1].map((entry): [string, unknown, string] => [
      `${JSON.stringify(entry)} as an entry`,
      { broadcasts: [good, good, good, entry] },
      'broadcasts[3] must be an object',
    ]),
    ...[
      { message },
      { channel: 'a', channels: null, message },
      { channel: null, channels: ['a'] },
    ].map((entry): [string, unknown, string] => [
      `${JSON.stringify(entry)} as an entry`,
      { broadcasts: [good, good, good, entry] },
      'broadcasts[3] must have either channel or channels',
    ]),
    ...[null, 'a', [], {}, [1], ['a', null], ['x'.repeat(256), 1]].map(
      (channels): [string, unknown, string] => [
        `${JSON.stringify(channels).slice(0, 20)} as channels`,
        { broadcasts: [good, { channels, message: 1 }] },
        'broadcasts[1].channels must be an array of strings',
      ],
    ),
    ...[null, 1, ['a'], {}].map((channel): [string, unknown, string] => [
      `${JSON.stringify(channel)} as channel`,
      { broadcasts: [{ channel, message: 1, history: 1 }] },
      'broadcasts[0].channel must be a string',
    ]),
    [
      'a channel that is too long',
      { broadcasts: [{ channel: 'x'.repeat(256), message }] },
      'broadcasts[0].channel must be at most 255 characters',
    ],
    [
      'a channel that is too long within channels',
      { broadcasts: [good, { channels: ['a', 'x'.repeat(256)], message }] },
      'broadcasts[1].channel must be at most 255 characters',
    ],
    [
      'a lone surrogate within channels',
      '{"broadcasts":[{"channels":["a","\\ud800"],"message":{}}]}',
      'broadcasts[0].channel must be well-formed Unicode',
    ],
    ...[undefined, null, 1, true, [], 'x', '[]'].map((wrong): [string, unknown, string] => [
      `${JSON.stringify(wrong)} as message`,
      { broadcasts: [good, { channel: 'a', message: wrong, history: 1 }, 5] },
      'broadcasts[1].message must be a JSON object',
    ]),
    ...[null, 0, 'true', {}].map((history): [string, unknown, string] => [
      `${JSON.stringify(history)} as history`,
      { broadcasts: [good, { channels: ['a'], message, history }, 5] },
      'broadcasts[1].history must be true or false',
    ]),
    [
      'more than 1,000 channels in all',
      {
        broadcasts: [
          { channels: many(500), message },
          { channels: many(501), message },
        ],
        jti: 1,
      },
      'broadcasts must have at most 1000 channels in all',
    ],
    [
      'a fault behind more than 1,000 channels',
      { broadcasts: [{ channels: many(1_001), message }, 1] },
      'broadcasts[1] must be an object',
    ],
    ...[null, 1, '', 'x'.repeat(129), ['x']].map((jti): [string, unknown, string] => [
      `${JSON.stringify(jti).slice(0, 20)} as jti`,
      { broadcasts: [good], jti },
      'jti must be a string of 1 to 128 characters',
    ]),
    [
      'a lone surrogate in jti',
      '{"broadcasts":[{"channel":"a","message":{}}],"jti":"\\ud800"}',
      'jti must be a string of 1 to 128 characters',
    ],
  ])('refuses %s and delivers nothing of it', async (_, claims, error) => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    expect(await publish(server, claims)).toEqual([400, JSON.stringify({ error })]);
    expect(await received(client)).toEqual([]);
  });

  it('takes 1,000 channels in all, and a jti of 128 characters', async () => {
    const server = await startServer();
    const claims = { broadcasts: [{ channels: many(1_000), message }], jti: '🌈'.repeat(64) };
    expect(await publish(server, claims)).toEqual([
      200,
      '{"message":"Success","deliveries":0,"results":[{"deliveries":0}]}',
    ]);
  });

  it.each([null, 0, 'true', {}])('refuses %j as history of a single broadcast', async (history) => {
    const server = await startServer();
    expect(await publish(server, { channel: 'a', message, history })).toEqual([
      400,
      '{"error":"history must be true or false"}',
    ]);
  });

  it.each([true, false])('takes %j as history of a single broadcast', async (history) => {
    const server = await startServer();
    expect(await publish(server, { channel: 'a', message, history })).toEqual([
      200,
      '{"message":"Success","deliveries":0}',
    ]);
  });

  it('is no token to authenticate with', async () => {
    const { connect } = await startServer();
    const client = (await connect()).authenticate(sign({ broadcasts: [good] }));
    expect((await client.closed).code).toBe(4400);
  });

  it('equals its items posted one by one', async () => {
    const one = await startServer();
    const other = await startServer();
    const lists = [['a'], ['a', 'b'], ['c'], []];
    const connectAll = (server: TestServer) =>
      Promise.all(lists.map(async (names) => (await server.connect()).subscribe(...names)));
    const [together, apart] = [await connectAll(one), await connectAll(other)];

    const name = fc.constantFrom('a', 'b', 'c', 'nobody');
    const entry = fc.record({
      channels: fc.array(name, { minLength: 1, maxLength: 4 }),
      message: fc.oneof(
        fc.constantFrom('{"a": 1.0}', '{ }', '{"2":"}","1":[{"message":1}]}'),
        fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value)),
      ),
      isText: fc.boolean(),
    });
    const signed = ({ message: text, isText }: { message: string; isText: boolean }) =>
      isText ? JSON.stringify(text) : text;
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
        const broadcasts = entries.map(
          (each) => `{"channels":${JSON.stringify(each.channels)},"message":${signed(each)}}`,
        );
        const [, text] = await publish(one, `{"broadcasts":[${broadcasts.join(',')}]}`);
        const results = [];
        for (const each of entries) {
          let deliveries = 0;
          for (const channel of each.channels) {
            const claims = `{"channel":${JSON.stringify(channel)},"message":${signed(each)}}`;
            const [, answer] = await publish(other, claims);
            deliveries += JSON.parse(answer).deliveries;
          }
          results.push({ deliveries });
        }
        const deliveries = results.reduce((sum, each) => sum + each.deliveries, 0);
        expect(text).toBe(JSON.stringify({ message: 'Success', deliveries, results }));
        for (const [index, client] of together.entries()) {
          expect(await received(client)).toEqual(await received(apart[index] as TestClient));
        }
      }),
      { numRuns: 30 },
    );
  });
});
