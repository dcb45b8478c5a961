import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import { BifrostPublisher, type Broadcast } from '../../src/publisher/index.ts';
import { startServer } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

const FATES = [
  'deliver',
  '503 before',
  '502 after',
  'cut before',
  'cut after',
  'cut answer',
] as const;
type Fate = (typeof FATES)[number];

/** A proxy that hands requests on, unless it fails before or after it did so. */
async function startFaultyProxy(target: string, decide: () => Fate): Promise<string> {
  const proxy = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const fate = decide();
    if (fate === 'cut before') return request.socket.destroy();
    if (fate === '503 before') return response.writeHead(503, { 'Retry-After': '0' }).end();

    const body = new Uint8Array(Buffer.concat(chunks));
    const answer = await fetch(`${target}${request.url}`, { method: 'POST', body });
    const text = await answer.text();
    if (fate === 'cut after') return request.socket.destroy();
    if (fate === '502 after') return response.writeHead(502).end();
    if (fate === 'cut answer') {
      response.writeHead(answer.status, { 'Content-Length': text.length }).write(text.slice(0, -9));
      return setImmediate(() => request.socket.destroy());
    }
    return response.writeHead(answer.status).end(text);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

afterEach(() => {
  vi.restoreAllMocks();
});

const CHANNELS = ['a', 'b', 'c'] as const;

/** Broadcasts of some turns of the event loop, as lists of channels, and what becomes of the first requests. */
const plan = fc.record({
  turns: fc.array(
    fc.array(fc.array(fc.constantFrom(...CHANNELS), { minLength: 1, maxLength: 4 }), {
      maxLength: 6,
    }),
    { maxLength: 6 },
  ),
  fates: fc.array(fc.constantFrom(...FATES), { maxLength: 12 }),
});

const POSITION = /^[0-9A-Za-z]{8}\.[0-9]{1,16}$/;

it('what is published reaches subscribers once and in order, whatever the network does', async () => {
  const { url, connect, broadcast } = await startServer();
  const subscribers = await Promise.all(
    CHANNELS.map(async (channel) => (await connect()).subscribe(channel)),
  );
  let fates: Fate[] = [];
  const proxy = await startFaultyProxy(url, () => fates.shift() ?? 'deliver');
  // The pauses between attempts are as short as they may be.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  const { publishAll } = new BifrostPublisher({ url: proxy, secret: SECRET });

  await fc.assert(
    fc.asyncProperty(plan, async ({ turns, fates: planned }) => {
      fates = [...planned];
      let n = 0;
      const broadcasts: Broadcast[][] = turns.map((turn) =>
        turn.map((channels) => {
          n += 1;
          return { channels, message: { n } };
        }),
      );
      const published = broadcasts.map(async (turn, index) => {
        for (let ended = 0; ended < index; ended += 1) await new Promise(setImmediate);
        return publishAll(turn);
      });
      expect(await Promise.all(published)).toEqual(
        turns.map((turn) =>
          turn.map((channels) => ({
            deliveries: channels.length,
            position: expect.stringMatching(POSITION),
          })),
        ),
      );
      for (const [index, channel] of CHANNELS.entries()) {
        await broadcast(channel, { n: 'fence' });
        const expected = broadcasts
          .flat()
          .flatMap(({ channels = [], message }) =>
            channels.filter((name) => name === channel).map(() => message),
          );
        for (const message of [...expected, { n: 'fence' }]) {
          expect(await subscribers[index]?.next()).toEqual(message);
        }
      }
    }),
    // What a failure leaves behind would make every smaller plan fail too.
    { numRuns: 60, endOnFailure: true },
  );
});
