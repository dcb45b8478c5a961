import { expect, it } from 'vitest';
import { PositionedClient } from '../support/positioned-client.ts';
import { startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';
import { startRedis } from './nodes.ts';

it('the program stops when its last websocket has gone, also one that lost Redis before', async () => {
  const redis = await startRedis();
  const program = startProgram(await temporaryFolder(), {
    JWT_SECRET: SECRET,
    REDIS_URL: redis.url,
    HISTORY: 'redis',
    DRAIN_SECONDS: '25',
  });
  await program.prints(/broker available/);
  const port = await program.listening();
  const clients: PositionedClient[] = [];
  for (let n = 0; n < 20; n += 1) {
    const client = await PositionedClient.connect(port, ['a'], null);
    await client.began();
    clients.push(client);
  }
  redis.close();
  await program.prints(/broker unavailable/);
  // They do not wait until they are asked to leave.
  for (const client of clients) client.cut();
  for (const { client } of clients) await client.closed;

  const stopped = performance.now();
  program.child.kill('SIGTERM');
  expect(await program.ended).toEqual({ code: 0, signal: null });
  expect(performance.now() - stopped).toBeLessThan(12_000);
});
