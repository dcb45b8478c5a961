import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { publishFailureText } from '../../../../src/commands/broadcast/publish-failure.ts';
import { publishLines } from '../../../../src/commands/broadcast/publish-lines.ts';
import { readLines } from '../../../../src/commands/broadcast/standard-input.ts';
import { BifrostPublisher, type PublishedBroadcast } from '../../../../src/publisher/index.ts';
import { startBroadcastDouble } from '../../../support/broadcast-double.ts';
import { SECRET } from '../../../support/tokens.ts';

const LINE = Buffer.from('{"channel":"a","message":{}}\n');
const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('publishing lines', () => {
  it('reads no further than a thousand lines ahead of the answers', async () => {
    const answers: ((published: PublishedBroadcast) => void)[] = [];
    let read = 0;
    let published = 0;
    let ahead = 0;
    const input = Readable.from(
      (function* () {
        for (; read < 20_000; read += 1) {
          ahead = Math.max(ahead, read - published);
          yield LINE;
        }
      })(),
      { highWaterMark: 1 },
    );
    const ended = publishLines(input, {
      publish: () => new Promise((resolve) => answers.push(resolve)),
      describe: String,
      onSent: (sent) => {
        published = sent;
      },
    });
    while (read < 20_000 || answers.length > 0) {
      for (const answer of answers.splice(0, 100)) answer({ deliveries: 2 });
      await endOfTurn();
    }
    expect(await ended).toEqual({ deliveries: 40_000, partial: false });
    expect(ahead).toBeGreaterThan(900);
    expect(ahead).toBeLessThan(1_010);
  });

  it('reads no further than 4 MiB ahead of the answers', async () => {
    const long = Buffer.from(`{"channel":"a","message":{"text":"${'x'.repeat(1_000_000)}"}}\n`);
    const answers: ((published: PublishedBroadcast) => void)[] = [];
    const input = Readable.from(Array<Buffer>(20).fill(long));
    const ended = publishLines(input, {
      publish: () => new Promise((resolve) => answers.push(resolve)),
      describe: String,
      onSent: () => {},
    });
    let answered = 0;
    while (answered < 20) {
      await endOfTurn();
      expect(answers.length).toBeLessThanOrEqual(5);
      const answer = answers.shift();
      if (answer === undefined) continue;
      answer({ deliveries: undefined, partial: true });
      answered += 1;
    }
    expect(await ended).toEqual({ deliveries: 0, partial: true });
  });

  it.each([
    ['nonsense', 'must be a JSON object with a channel and a message'],
    ['{"channel":"a","message":[]}', 'message must be a JSON object'],
    ['{"channel":"a","message":"text"}', 'message must be a JSON object'],
    ['{"channel":"a"}', 'message must be a JSON object'],
    ['{"message":{}}', 'invalid channels'],
    ['{"channel":"a","channels":["b"],"message":{}}', 'invalid channels'],
    ['{"channel":"\\ud800","message":{}}', 'invalid channels'],
    ['{"channel":"a","message":{},"history":1}', 'invalid history'],
    [Buffer.from('{"channel":"\xff"}', 'latin1'), 'standard input must be UTF-8'],
    [
      `{"channel":"${'x'.repeat(256)}","message":{}}`,
      'URL/broadcast answered 400: broadcasts.0..channel must be at most 255 characters',
    ],
  ])('ends with the first line at fault, after those before it: %s', async (line, why) => {
    const double = await startBroadcastDouble();
    const { publishAll } = new BifrostPublisher({ url: double.url, secret: SECRET });
    const input = Readable.from(
      [LINE, '\n', LINE, line, '\n', LINE].map((part) => Buffer.from(part)),
    );
    const ended = publishLines(input, {
      publish: async (broadcast) => (await publishAll([broadcast]))[0] as PublishedBroadcast,
      describe: (error) => publishFailureText(error, 'URL'),
      onSent: () => {},
    });
    await expect(ended).rejects.toThrow(new RegExp(`^line 4: ${why}; sent [23] of [45] lines$`));
  });

  it('names the first of several lines that fail, however late it does', async () => {
    const failures = new Map<number, (error: Error) => void>();
    let count = 0;
    const input = Readable.from([Buffer.concat([LINE, LINE, LINE])]);
    const ended = publishLines(input, {
      publish: () =>
        new Promise((_, reject) => {
          count += 1;
          failures.set(count, reject);
        }),
      describe: (error) => (error as Error).message,
      onSent: () => {},
    });
    while (failures.size < 3) await endOfTurn();
    for (const n of [2, 1, 3]) failures.get(n)?.(new Error(`failure ${n}`));
    await expect(ended).rejects.toThrow('line 1: failure 1; sent 0 of 3 lines');
  });

  it('fails when its input does', async () => {
    const input = Readable.from(
      (function* () {
        yield LINE;
        throw new Error('cannot read');
      })(),
    );
    const publish = async () => ({ deliveries: 1 });
    await expect(
      publishLines(input, { publish, describe: (error) => (error as Error).message, onSent() {} }),
    ).rejects.toThrow('line 2: cannot read; sent 1 of 1 lines');
  });
});

describe('the lines of a stream', () => {
  it('are the same however it is cut into chunks', async () => {
    const text = fc.stringMatching(/^[ab\n]{0,20}$/);
    await fc.assert(
      fc.asyncProperty(fc.array(text), async (texts) => {
        const lines: string[] = [];
        for await (const line of readLines(Readable.from(texts.map((part) => Buffer.from(part))))) {
          lines.push(line.toString());
        }
        const expected = texts.join('').split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(lines).toEqual(expected);
      }),
    );
  });
});
