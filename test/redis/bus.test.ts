import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { RedisBus } from '../../src/broker/redis/redis-bus.ts';
import { freePort } from '../support/free-port.ts';
import { LogBook, startNode, startRedis } from './nodes.ts';
import { SlowLink } from './slow-link.ts';

/** A bus that is there, and what it carried to us. */
async function openBus(url: string) {
  const bus = new RedisBus({ url, prefix: 'p:', log: new LogBook().log, onUnusable: () => {} });
  const messages: string[] = [];
  await new Promise<void>((resolve) => {
    bus.open({
      up: resolve,
      down: () => {},
      recovered: () => {},
      reached: () => {},
      full: () => {},
      message: (topic, text) => messages.push(`${topic} ${text}`),
    });
  });
  onTestFinished(() => bus.close());
  return { bus, messages };
}

it('subscribes again to a topic that was left while its subscription was under way', async () => {
  const redis = await startRedis();
  const link = await SlowLink.to(redis.port);
  const { bus, messages } = await openBus(link.url);
  link.holdFrom('unsubscribe');

  const first = bus.subscribe(['a', 'b']);
  bus.unsubscribe(['a', 'b']);
  await first;
  await link.holds();
  const second = bus.subscribe(['a']);
  link.release();
  await second;

  expect(await bus.publish('a', '1')).toBe(1);
  expect(await bus.publish('b', '1')).toBe(0);
  await bus.subscribe(['fence']);
  expect(messages).toEqual(['a 1']);
});

it('keeps no state for topics that were left at once', async () => {
  const redis = await startRedis();
  const link = await SlowLink.to(redis.port);
  const { bus } = await openBus(link.url);
  link.holdFrom('unsubscribe');

  await bus.subscribe(['a']);
  bus.unsubscribe(['a']);
  await link.holds();
  for (let n = 0; n < 3; n += 1) {
    void bus.subscribe(['a']);
    bus.unsubscribe(['a']);
  }
  link.release();

  await bus.subscribe(['fence']);
  expect(await redis.command('PUBSUB', 'CHANNELS')).toEqual(['fence']);
});

it('tries again when a peer accepts the connection and never replies', async () => {
  const port = await freePort();
  const sockets: Socket[] = [];
  const silent = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    silent.emit('taken');
  });
  await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const { book } = await startNode({ url: `redis://127.0.0.1:${port}` });

  await book.reads(/Redis does not answer/);
  // Two connections an attempt.
  while (sockets.length < 4) await once(silent, 'taken');
});

it('refuses to publish when Redis does not read fast enough, instead of buffering', async () => {
  const redis = await startRedis();
  const { bus } = await openBus(redis.url);
  const text = 'x'.repeat(8 * 1_024 * 1_024);
  redis.pause();
  const taken = Array.from({ length: 8 }, () => bus.publish('a', text));
  await expect(bus.publish('a', text)).rejects.toThrow('Redis does not answer');
  redis.resume();
  expect(await Promise.all(taken)).toEqual(taken.map(() => 0));
  expect(await bus.publish('a', text)).toBe(0);
});

it('keeps no abort signal alive after an attempt to connect', async () => {
  const signals = vi.spyOn(AbortSignal, 'any');
  const redis = await startRedis();
  await openBus(redis.url);
  // Node keeps each of them for as long as the signal lives that it was made of.
  expect(signals).not.toHaveBeenCalled();
});
