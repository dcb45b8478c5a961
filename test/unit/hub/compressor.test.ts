import { inflateRawSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { Compressor } from '../../../src/hub/compressor.ts';
import { encodeFrame } from '../../../src/hub/frame.ts';

const LONG = { text: 'the same words again and again, '.repeat(64) };

describe('Compressor', () => {
  it('compresses the payload', () => {
    const { bytes } = new Compressor().encode(encodeFrame(JSON.stringify(LONG)));

    // RFC 7692 §7.2.2: the four bytes that were left out are appended to inflate.
    expect(bytes[0]).toBe(0xc1);
    const tail = Buffer.from([0, 0, 0xff, 0xff]);
    const inflated = inflateRawSync(Buffer.concat([bytes.subarray(2), tail]), { finishFlush: 2 });
    expect(inflated.toString()).toBe(JSON.stringify(LONG));
    expect(bytes.length).toBeLessThan(126);
  });

  it('does not compress short payloads', () => {
    const short = encodeFrame('x'.repeat(200));
    expect(new Compressor().encode(short)).toBe(short);
  });

  it('compresses in one event-loop turn only as much as takes a few milliseconds', () => {
    vi.useFakeTimers({ toFake: ['setImmediate'] });
    const compressor = new Compressor();
    const frames = ['a', 'b', 'c'].map((letter) => encodeFrame(letter.repeat(60_000)));
    const areCompressed = () => frames.map((frame) => compressor.encode(frame) !== frame);
    expect(areCompressed()).toEqual([true, true, false]);
    vi.runAllTimers();
    expect(areCompressed()).toEqual([true, true, false]);
    const huge = encodeFrame('x'.repeat(1_000_000));
    vi.runAllTimers();
    expect(compressor.encode(huge)).toBe(huge);
  });
});
