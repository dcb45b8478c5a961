import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type FetchFailure, neverConnected, retryDelayMs } from '../../../src/publisher/retry.ts';

describe('the pause between two attempts', () => {
  it('is random from nothing to its bound, which grows with the time that it has gone wrong', () => {
    expect(retryDelayMs(0, undefined, 0)).toBe(0);
    expect(retryDelayMs(0, undefined, 1)).toBe(200);
    expect(retryDelayMs(0, undefined, 0.5)).toBe(100);
    expect(retryDelayMs(1_000, undefined, 1)).toBe(1_200);
    expect(retryDelayMs(20_000, undefined, 1)).toBe(5_000);
  });

  it('comes on top of what the server asks for in seconds', () => {
    expect(retryDelayMs(0, '1', 0)).toBe(1_000);
    expect(retryDelayMs(0, '2', 0.5)).toBe(2_100);
    expect(retryDelayMs(0, '0', 0.5)).toBe(100);
  });

  it('comes on top of what the server asks for as a date', () => {
    const inTenSeconds = new Date(Date.now() + 10_000).toUTCString();
    expect(retryDelayMs(0, inTenSeconds, 0)).toBeGreaterThan(8_000);
    expect(retryDelayMs(0, inTenSeconds, 0)).toBeLessThanOrEqual(10_000);
    expect(retryDelayMs(0, 'Wed, 21 Oct 2015 07:28:00 GMT', 0.5)).toBe(100);
  });

  it.each([null, undefined, '', 'soon', '-5'])('ignores Retry-After: %s', (retryAfter) => {
    expect(retryDelayMs(0, retryAfter, 0.5)).toBe(100);
  });
});

describe('a failed fetch', () => {
  const failure = (url: string) =>
    fetch(url).then(
      () => expect.unreachable(),
      (error: FetchFailure) => error,
    );

  it('never had a connection if that was refused', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(neverConnected(await failure(`http://127.0.0.1:${port}`))).toBe(true);
    // Two addresses are tried: the error of both has no text of its own.
    expect(neverConnected(await failure(`http://localhost:${port}`))).toBe(true);
  });

  it('may have had one if that was cut', async () => {
    const server = createServer((request) => request.socket.destroy()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expect(neverConnected(await failure(`http://127.0.0.1:${port}`))).toBe(false);
    await new Promise((resolve) => server.close(resolve));
  });

  const fetchFailed = (cause: object) => new TypeError('fetch failed', { cause });

  // As these runtimes word it, of which the tests of the package run the newest.
  it.each<[string, Error, boolean]>([
    ['Node', fetchFailed({ code: 'ENOTFOUND' }), true],
    ['Node', fetchFailed({ code: 'EAI_AGAIN' }), true],
    ['Node', fetchFailed({ code: 'ECONNRESET' }), false],
    ['Bun', new TypeError('ECONNREFUSED: Unable to connect.'), true],
    ['Bun', Object.assign(new Error('Unable to connect.'), { code: 'ConnectionRefused' }), true],
    ['Bun', Object.assign(new Error('The socket closed.'), { code: 'ECONNRESET' }), false],
    ['Deno', fetchFailed(new Error('client error (Connect): tcp connect error')), true],
    ['Deno', fetchFailed(new Error('client error (Connect): dns error')), true],
    ['Deno', fetchFailed(new Error('client error (SendRequest): connection closed')), false],
    ['any', new DOMException('The operation was aborted due to timeout', 'TimeoutError'), false],
  ])('of %s is known: %s', (_, error, expected) => {
    expect(neverConnected(error as FetchFailure)).toBe(expected);
  });
});
