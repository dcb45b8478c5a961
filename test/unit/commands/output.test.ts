import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { writeLine } from '../../../src/commands/output.ts';

describe('writeLine', () => {
  const never = new AbortController().signal;

  it('waits while its reader has stalled', async () => {
    const output = new PassThrough({ highWaterMark: 2 });
    const order: string[] = [];
    const written = writeLine(output, 'abc', never).then(() => order.push('written'));
    await new Promise((resolve) => setImmediate(resolve));
    order.push('read');
    expect(String(output.read())).toBe('abc\n');
    await written;
    expect(order).toEqual(['read', 'written']);
  });

  it('waits no longer when it is told to end, or the stream fails', async () => {
    const output = new PassThrough({ highWaterMark: 1 });
    const controller = new AbortController();
    const written = writeLine(output, 'abc', controller.signal);
    controller.abort();
    await written;
    await writeLine(output, 'def', controller.signal);

    const failing = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => setImmediate(done, new Error('gone')),
    });
    await writeLine(failing, 'abc', never);
    expect(failing.destroyed).toBe(true);
  });
});
