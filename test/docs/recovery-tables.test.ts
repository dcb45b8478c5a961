import { describe, expect, it } from 'vitest';
import { MemoryHistory } from '../../src/broker/history-memory.ts';
import { loadConfig } from '../../src/config/config.ts';
import { variableNames } from '../../src/config/settings.ts';
import { parseChannel } from '../../src/protocol/channel.ts';
import { encodeEnvelope, encodePong, encodeSubscribed, PONG } from '../../src/protocol/messages.ts';
import { currentPosition } from '../support/positions.ts';
import { startServer } from '../support/server.ts';
import { RECOVERY_PAGE, snippet, table } from '../support/snippets.ts';
import { SECRET, sign } from '../support/tokens.ts';

const POSITION = /[0-9A-Za-z]{8}\.[0-9]{1,16}/g;

describe('the tables of docs/recovery.md', () => {
  it('show every frame as the server writes it', () => {
    const channel = channelOf('user:1');
    const publication = { channel, message: '{"n":1}' };
    const frames = table('you get | when', RECOVERY_PAGE).map(([frame = '']) => unquote(frame));
    const positions = frames.map((frame) => frame.match(POSITION)?.[0]);
    expect(frames).toEqual([
      encodeSubscribed(channel),
      encodeSubscribed(channel, { recovered: true, missed: 2 }),
      encodeSubscribed(channel, { recovered: false }),
      encodeSubscribed(channel, { position: positions[3] }),
      encodeEnvelope(publication, positions[4]),
      encodeEnvelope(publication, undefined),
      encodePong(String(positions[6])),
      PONG,
    ]);
  });

  it.each([
    ['nothing', undefined, '{"event":"subscribed","data":"{\\"channel\\":\\"a\\"}"}'],
    ['`null`', null, /^\{"channel":"a","position":"[^"]+"\}$/],
    ['`"q7Kf2wX9.1792600003500000"`', 'now', /^\{"channel":"a","recovered":true,"missed":0,/],
    ['a string that is no position', 'x', /^\{"channel":"a","recovered":false,/],
    ['anything else', 1, '4400 Invalid message'],
  ])('say what comes of a `since`: %s', async (cell, since, expected) => {
    const rows = table('you send as `since` | you ask for', RECOVERY_PAGE);
    expect(rows.map(([sent]) => sent)).toContain(cell);
    const server = await startServer();
    const client = await server.connect();
    const asked = since === 'now' ? await currentPosition(server) : since;
    client.send({ event: 'authenticate', data: sign({ channels: ['a'] }), since: asked });
    if (since === 1) {
      const { code, reason } = await client.closed;
      expect(`${code} ${reason}`).toBe(expected);
      return;
    }
    const text = await client.nextText();
    if (typeof expected === 'string') expect(text).toBe(expected);
    else expect(JSON.parse(text).data).toMatch(expected);
  });

  it('list every reason of a gap that the metrics count', async () => {
    const { url } = await startServer({ METRICS: 'true' });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const counted = metrics.matchAll(/^bifrost_recovery_gaps_total\{reason="(\w+)"\}/gm);
    const rows = table('reason | what it means | what helps', RECOVERY_PAGE);
    expect(rows.map(([reason = '']) => unquote(reason))).toEqual(
      [...counted].map(([, reason]) => reason),
    );
  });

  it('list every variable of the history, with its default and its bounds', () => {
    const rows = table('variable | default | least | most | meaning', RECOVERY_PAGE).map((row) =>
      row.map(unquote),
    );
    expect(rows.map(([name]) => name)).toEqual(
      variableNames.filter((name) => name.startsWith('HISTORY')),
    );
    const load = (name: string, value: string | number) =>
      loadConfig({ JWT_SECRET: SECRET, [name]: String(value) });
    for (const [name = '', fallback = '', least = '', most = ''] of rows) {
      if (fallback !== 'none') {
        expect.soft(load(name, fallback), name).toEqual(loadConfig({ JWT_SECRET: SECRET }));
      }
      if (least === '') continue;
      for (const value of [least, most]) expect.soft(() => load(name, value)).not.toThrow();
      for (const value of [Number(least) - 1, Number(most) + 1]) {
        expect.soft(() => load(name, value), name).toThrow(name);
      }
    }
  });

  it('promise something for every place of the history', () => {
    const rows = table(
      'where the history is | what happens | what a client gets that comes back',
      RECOVERY_PAGE,
    );
    const places = rows.map(([place = '']) => /\b(\w+)`/.exec(place)?.[1] ?? '');
    expect(() => loadConfig({ JWT_SECRET: SECRET, HISTORY: '?' })).toThrow(
      'HISTORY must be memory, redis or off',
    );
    expect(new Set(places)).toEqual(new Set(['memory', 'redis', 'off']));
  });
});

describe('the arithmetic of docs/recovery.md', () => {
  const rowsOf = (header: string) =>
    new Map(
      table(header, RECOVERY_PAGE).map(([what = '', bytes = '']) => [
        what,
        Number(bytes.replaceAll(',', '')),
      ]),
    );

  it('counts a message in memory as the server does', () => {
    const { historyMessages, historyMs, historyBytes } = loadConfig({ JWT_SECRET: SECRET });
    const history = new MemoryHistory({ historyMessages, historyMs, historyBytes });
    const publication = { channel: channelOf('user:12345'), message: 'x'.repeat(200) };
    history.add(publication);
    const one = history.bytes;
    for (let n = 0; n < 2 * historyMessages; n += 1) history.add(publication);
    const messages = Math.floor(historyBytes / one);
    expect(
      rowsOf('messages of 200 bytes on channels with names of 10 bytes | bytes that count'),
    ).toEqual(
      new Map([
        ['one', one],
        ['a channel with 100, full by default', history.bytes],
        ['what fits into 64 MiB, in messages', messages],
        ['what fits into 64 MiB, in full channels', Math.floor(historyBytes / history.bytes)],
        ['how many a second are kept for all of 300 s', Math.floor((messages / historyMs) * 1_000)],
      ]),
    );
  });

  it('adds up in Redis', () => {
    const [, ofChannel, ofMessage] =
      /It takes about (\d+) bytes, and each message its own bytes\s+and about (\d+) more/.exec(
        RECOVERY_PAGE.text,
      ) ?? [];
    const listOf = (messages: number) => Number(ofChannel) + messages * (200 + Number(ofMessage));
    expect(rowsOf('messages of 200 bytes | bytes in Redis, about')).toEqual(
      new Map([
        ['a channel with one', listOf(1)],
        ['a channel with 101, full by default', listOf(101)],
        ['a million channels with one each', 1_000_000 * listOf(1)],
        ['10,000 full channels', 10_000 * listOf(101)],
      ]),
    );
  });
});

it.each([
  ['the browser', 'html'],
  ['Python', 'python'],
  ['Ruby', 'ruby'],
])(
  'the client in %s of docs/recovery.md stays away after the final close codes',
  (name, language) => {
    const final = table('code | reason | when | come back?')
      .filter(([, , , comeBack]) => /^(no|not)\b/.test(comeBack ?? ''))
      .map(([code]) => Number(code));
    const sample = snippet(`A client in ${name}`, language, RECOVERY_PAGE);
    const list = /FINAL = [[{](.*?)[\]}]/.exec(sample)?.[1]?.split(', ').map(Number);
    // The browser closes with 1000 itself when nobody is logged in.
    expect(new Set(list?.filter((code) => code !== 1000))).toEqual(new Set(final));
  },
);

function channelOf(name: string) {
  const channel = parseChannel(name, 255);
  if (!channel.ok) throw new Error(`${name} is no channel`);
  return channel.value;
}

function unquote(cell: string): string {
  return cell.replaceAll('`', '');
}
