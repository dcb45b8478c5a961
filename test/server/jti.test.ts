import { describe, expect, it } from 'vitest';
import { publish, received } from '../support/batch-requests.ts';
import { startServer } from '../support/server.ts';

const message = { n: 1 };

describe('jti', () => {
  const batch = (jti: unknown) => ({ broadcasts: [{ channels: ['a', 'b'], message }], jti });
  const answer = '{"message":"Success","deliveries":1,"results":[{"deliveries":1}]';

  it('is delivered once, and a retry answered as the first time', async () => {
    const server = await startServer({ METRICS: 'true' });
    const client = await (await server.connect()).subscribe('a');
    expect(await publish(server, batch('x'))).toEqual([200, `${answer}}`]);
    expect(await publish(server, batch('x'))).toEqual([200, `${answer},"duplicate":true}`]);
    // The jti alone decides.
    const other = { broadcasts: [{ channel: 'a', message: { n: 2 } }], jti: 'x' };
    expect(await publish(server, other)).toEqual([200, `${answer},"duplicate":true}`]);
    expect(await publish(server, batch('y'))).toEqual([200, `${answer}}`]);
    expect(await received(client)).toEqual(['{"n":1}', '{"n":1}']);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain('\nbifrost_duplicate_requests_total 2\n');
    expect(metrics).toContain('\nbifrost_broadcasts_total{result="success"} 4\n');
  });

  it('is delivered once when many requests have it at the same time', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => publish(server, batch('x'))),
    );
    expect(answers.filter(([, text]) => text === `${answer}}`)).toHaveLength(1);
    expect(answers.filter(([, text]) => text === `${answer},"duplicate":true}`)).toHaveLength(19);
    expect(await received(client)).toEqual(['{"n":1}']);
  });

  it('is not seen in a request that was refused', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    const refused = { broadcasts: [{ channel: 'a' }], jti: 'x' };
    expect((await publish(server, refused))[0]).toBe(400);
    expect(await publish(server, batch('x'))).toEqual([200, `${answer}}`]);
    expect(await received(client)).toEqual(['{"n":1}']);
  });

  it('means nothing without broadcasts', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    for (let n = 0; n < 2; n += 1) {
      expect(await publish(server, { channel: 'a', message, jti: 'x' })).toEqual([
        200,
        '{"message":"Success","deliveries":1}',
      ]);
    }
    expect(await received(client)).toEqual(['{"n":1}', '{"n":1}']);
  });

  it('does not hold back a batch without it', async () => {
    const server = await startServer();
    const client = await (await server.connect()).subscribe('a');
    for (let n = 0; n < 2; n += 1) {
      expect(await publish(server, batch(undefined))).toEqual([200, `${answer}}`]);
    }
    expect(await received(client)).toEqual(['{"n":1}', '{"n":1}']);
  });
});
