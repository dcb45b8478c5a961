import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Broadcast, createEncoder } from '../../../src/publisher/broadcast.ts';
import { BifrostError } from '../../../src/publisher/error.ts';

const encode = createEncoder(undefined, 1_000);
const encodeSingle = createEncoder(undefined, 1);
const message = { event: 'greeting' };

describe('a broadcast', () => {
  it('becomes a JSON object with its channels', () => {
    expect(JSON.parse(encode({ channel: 'a', message }).text)).toEqual({
      channels: ['a'],
      message,
    });
    expect(JSON.parse(encode({ channels: ['a', 'b'], message, history: false }).text)).toEqual({
      channels: ['a', 'b'],
      message,
      history: false,
    });
  });

  it('becomes the single form where there are no batches', () => {
    expect(JSON.parse(encodeSingle({ channel: 'a', message, history: true }).text)).toEqual({
      channel: 'a',
      message,
      history: true,
    });
    expect(JSON.parse(encodeSingle({ channels: ['a'], message }).text)).toEqual({
      channel: 'a',
      message,
    });
  });

  it.each([
    '{"id":9007199254740993,"x":1.0,"y":1e3}',
    ' {"2":1, "1":2, "a":"\\u0041 \\n 🌈", "a":[]} ',
    '\n\t{}',
  ])('keeps a message that is JSON text: %s', (text) => {
    expect(encode({ channel: 'a', message: text }).text).toContain(`"message":${text},`);
  });

  it('takes the message and the channels as they are at the time of the call', () => {
    const changing = { channels: ['a'], message: { n: 1 } };
    const encoded = encode(changing);
    changing.channels.push('b');
    changing.message.n = 2;
    expect(encoded.channels).toEqual(['a']);
    expect(JSON.parse(encoded.text)).toEqual({ channels: ['a'], message: { n: 1 } });
  });

  it.each([
    ['channels', { message }],
    ['channels', { channel: 1, message }],
    ['channels', { channel: null, message }],
    ['channels', { channel: 'a\ud800', message }],
    ['channels', { channels: [], message }],
    ['channels', { channels: {}, message }],
    ['channels', { channels: ['a', 1], message }],
    ['channels', { channels: ['a', undefined], message }],
    ['channels', { channels: ['a', '\udc00'], message }],
    ['channels', { channels: [['a']], message }],
    ['channels', { channel: 'a', channels: ['a'], message }],
    ['channels', { channel: '', channels: ['a'], message }],
    ['channels', { channels: Array.from({ length: 1_001 }, () => 'a'), message }],
    ['history', { channel: 'a', message, history: null }],
    ['history', { channel: 'a', message, history: 0 }],
    ['history', { channel: 'a', message, history: 'false' }],
    ['message', { channel: 'a' }],
    ['message', { channel: 'a', message: null }],
    ['message', { channel: 'a', message: 1 }],
    ['message', { channel: 'a', message: true }],
    ['message', { channel: 'a', message: [] }],
    ['message', { channel: 'a', message: new Date() }],
    ['message', { channel: 'a', message: () => {} }],
    ['message', { channel: 'a', message: { id: 1n } }],
    ['message', { channel: 'a', message: '' }],
    ['message', { channel: 'a', message: 'greeting' }],
    ['message', { channel: 'a', message: '[]' }],
    ['message', { channel: 'a', message: 'null' }],
    ['message', { channel: 'a', message: '{' }],
    ['message', { channel: 'a', message: '{}{}' }],
    ['message', { channel: 'a', message: '{"a":1},"history":true,"b":{}' }],
    ['message', { channel: 'a', message: '\ufeff{}' }],
    ['message', { channel: 'a', message: '{"a":"\ud800"}' }],
  ])('is refused for its %s: %o', (name, broadcast) => {
    for (const each of [encode, encodeSingle]) {
      let error: unknown;
      try {
        each(broadcast as unknown as Broadcast);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(BifrostError);
      expect(error).toMatchObject({
        name: 'BifrostError',
        code: 'INVALID',
        message: `invalid ${name}`,
        mayHaveBeenDelivered: false,
      });
    }
  });

  it('may have 1,000 channels, and one where there are no batches', () => {
    const channels = Array.from({ length: 1_000 }, (_, n) => `user:${n}`);
    expect(encode({ channels, message }).channels).toEqual(channels);
    expect(() => encodeSingle({ channels: ['a', 'b'], message })).toThrow('invalid channels');
  });

  it('may have channels of any length, unless a limit is given', () => {
    const limited = createEncoder(255, 1_000);
    const [just, over] = [`${'🌈'.repeat(127)}x`, '🌈'.repeat(128)];
    expect(encode({ channel: 'x'.repeat(10_000), message }).channels).toHaveLength(1);
    expect(limited({ channel: just, message }).channels).toEqual([just]);
    expect(() => limited({ channel: over, message })).toThrow('invalid channels');
    expect(() => limited({ channels: ['a', over], message })).toThrow('invalid channels');
  });

  it('has what was put in, for any JSON', () => {
    const anyMessage = fc.oneof(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value, null, 1)),
    );
    const anyChannels = fc.array(fc.string({ unit: 'binary' }), { minLength: 1 });
    fc.assert(
      fc.property(anyChannels, anyMessage, (channels, message) => {
        const { text } = encode({ channels, message });
        expect(JSON.parse(text)).toEqual({
          channels,
          message: JSON.parse(typeof message === 'string' ? message : JSON.stringify(message)),
        });
      }),
      { numRuns: 50 },
    );
  });

  it('weighs as much of a request as it fills, in number, pairs or bytes', () => {
    expect(encode({ channel: 'a', message }).weight).toBe(0.01);
    const channels = Array.from({ length: 500 }, () => 'a');
    expect(encode({ channels, message }).weight).toBe(0.5);
    // Three bytes each in UTF-8.
    expect(encode({ channel: 'a', message: { text: '€'.repeat(32_667) } }).weight).toBeCloseTo(
      0.5,
      3,
    );
    expect(encodeSingle({ channel: 'a', message }).weight).toBe(1);
  });
});
