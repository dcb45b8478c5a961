import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BifrostPublisher } from '../../src/publisher/index.ts';
import { SECRET } from '../support/tokens.ts';
import { bifrost, start } from './bifrost.ts';

describe('bifrost test-server', () => {
  it('prints its address and every broadcast as JSON, and ends with 0 on SIGTERM', async () => {
    // What an app's environment has is not for this server.
    const env = { PORT: '1', JWT_SECRET: 'of the app', REDIS_URL: 'redis://localhost' };
    const program = await start(['test-server', '--port', '0', '--json'], env);
    const [line] = await program.prints(/^\{"url".*\}\n/);
    const address = JSON.parse(line);
    expect(address).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      subscribeUrl: `${address.url.replace('http', 'ws')}/subscribe`,
      secret: expect.stringMatching(/^[0-9a-f]{128}$/),
    });
    const { publishAll } = new BifrostPublisher(address);

    await publishAll([
      { channels: ['a', 'b'], message: '{\n"event":"one"\n}' },
      { channel: 'c', message: { event: 'two' } },
    ]);

    await program.prints(/two.*\n/);
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.stdout.slice(line.length).split('\n')).toEqual([
      '{"channel":"a","message":{"event":"one"},"deliveries":0}',
      '{"channel":"b","message":{"event":"one"},"deliveries":0}',
      '{"channel":"c","message":{"event":"two"},"deliveries":0}',
      '',
    ]);
    expect(program.stderr).toBe('');
  });

  it('prints text without --json', async () => {
    const program = await start(['test-server', '--set', `JWT_SECRET=${SECRET}`]);
    const [, url] = await program.prints(/^BIFROST_URL=(.*)\nJWT_SECRET=(.*)\n/);
    await new BifrostPublisher({ url, secret: SECRET }).publish('a\nb', { n: 1 });
    const [line] = await program.prints(/.*→.*\n/);
    expect(line).toBe('a b {"n":1} → 0\n');
    expect(program.stdout).toBe(`BIFROST_URL=${url}\nJWT_SECRET=${SECRET}\n${line}`);
  });

  it('ends when nobody reads what it prints', async () => {
    const program = await start(['test-server', '--json']);
    const { url, secret } = JSON.parse((await program.prints(/.*\n/))[0]);
    program.child.stdout?.destroy();
    await new BifrostPublisher({ url, secret }).publish('a', {});
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('keeps only the newest broadcasts for a reader that has stalled, and ends all the same', async () => {
    const program = await start(['test-server', '--json']);
    const { url, secret } = JSON.parse((await program.prints(/.*\n/))[0]);
    const { publishAll } = new BifrostPublisher({ url, secret });
    program.child.stdout?.pause();
    const text = 'x'.repeat(200);
    const numbers = Array.from({ length: 30_000 }, (_, n) => n);
    await publishAll(numbers.map((n) => ({ channel: 'a', message: { n, text } })));

    program.child.stdout?.resume();
    await program.prints(/"n":29999,.*\n/);
    // 10,000 that the server keeps, and what had been written before the pipe was full.
    const printed = program.stdout.split('\n').length;
    expect(printed).toBeGreaterThan(10_000);
    expect(printed).toBeLessThan(15_000);

    program.child.stdout?.pause();
    await publishAll(numbers.slice(0, 10_000).map((n) => ({ channel: 'b', message: { n, text } })));
    const exited = once(program.child, 'exit');
    program.child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('logs to standard error when it is asked to', async () => {
    const program = await start(['test-server', '--json', '--set', 'LOG_LEVEL=info']);
    await program.prints(/\{"url".*\n/);
    program.child.kill('SIGINT');
    await program.ended;
    expect(program.stderr).toContain('"msg":"closed"');
    expect(program.stdout).toMatch(/^\{"url".*\n$/);
  });

  it.each([
    [['--set', 'NONSENSE=1'], 'There is no setting NONSENSE'],
    [['--port=-1'], 'PORT must be an integer'],
  ])('ends with 1 when a setting cannot be used: %j', async (args, problem) => {
    const { code, stdout, stderr } = await bifrost(['test-server', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(problem);
  });
});
