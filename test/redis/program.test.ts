import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectClient, type TestClient } from '../support/client.ts';
import { freePort } from '../support/free-port.ts';
import { run } from '../support/process.ts';
import { type Program, startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET, sign } from '../support/tokens.ts';
import { prepareRedis, startNodes, startRedis } from './nodes.ts';

/** A certificate for `localhost` by an authority that nobody knows, as private networks have them. */
async function makeCertificate() {
  const folder = await temporaryFolder();
  const openssl = (command: string) =>
    run({ command: 'openssl', needs: 'openssl' }, command.split(' '), { cwd: folder });
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  await writeFile(join(folder, 'names'), 'subjectAltName=DNS:localhost');
  await openssl(`req -x509 ${key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Private`);
  await openssl(`req ${key} -keyout redis.key -out redis.csr -subj /CN=localhost`);
  await openssl(
    'x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names',
  );
  return {
    authority: join(folder, 'ca.pem'),
    certificate: join(folder, 'redis.pem'),
    key: join(folder, 'redis.key'),
  };
}

async function start(url: string, env: Record<string, string> = {}): Promise<Program> {
  return startProgram(await temporaryFolder(), { JWT_SECRET: SECRET, REDIS_URL: url, ...env });
}

async function connect(program: Program): Promise<TestClient> {
  return connectClient(`ws://127.0.0.1:${await program.listening()}/subscribe`);
}

async function broadcast(program: Program, message: unknown): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${await program.listening()}/broadcast`, {
    method: 'POST',
    headers: { Connection: 'close' },
    body: JSON.stringify({ token: sign({ channel: 'a', message }) }),
  });
  return response.json();
}

describe('the program with REDIS_URL', () => {
  it.each(['1', '2'])('refuses a Redis Cluster, with WEB_CONCURRENCY=%s', async (processes) => {
    const redis = await prepareRedis(
      ...['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())],
    );
    await redis.start();
    const program = await start(redis.url, { WEB_CONCURRENCY: processes });
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.output).toContain('REDIS_URL names a Redis Cluster');
  });

  it.each(['1', '2'])(
    'refuses a Redis that may evict its history, with WEB_CONCURRENCY=%s',
    async (processes) => {
      const redis = await startRedis('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
      const program = await start(redis.url, { WEB_CONCURRENCY: processes, HISTORY: 'redis' });
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(program.output).toContain('HISTORY=redis needs maxmemory-policy noeviction');
    },
  );

  it.each(['1', '2'])(
    'says in one line of its log in production why it refuses a Redis, with WEB_CONCURRENCY=%s',
    async (processes) => {
      const redis = await startRedis('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
      const program = await start(redis.url, {
        WEB_CONCURRENCY: processes,
        HISTORY: 'redis',
        NODE_ENV: 'production',
        LOG_LEVEL: 'silent',
      });
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(program.stderr).toBe('');
      expect(JSON.parse(program.stdout)).toMatchObject({
        level: 60,
        msg: expect.stringContaining('HISTORY=redis needs maxmemory-policy noeviction'),
      });
    },
  );

  it('recovers from Redis, whichever of its processes a client comes back to', async () => {
    const redis = await startRedis();
    const program = await start(redis.url, { WEB_CONCURRENCY: '2', HISTORY: 'redis' });
    await program.prints(/broker available.*broker available/s);
    const data = sign({ channels: ['a'] });
    const first = (await connect(program)).send({ event: 'authenticate', data, since: null });
    const { position } = JSON.parse(JSON.parse(await first.nextText()).data);
    first.socket.terminate();
    expect(await broadcast(program, { n: 1 })).toMatchObject({ message: 'Success' });
    for (let n = 0; n < 6; n += 1) {
      const client = (await connect(program)).send({
        event: 'authenticate',
        data,
        since: position,
      });
      const { recovered, missed } = JSON.parse(JSON.parse(await client.nextText()).data);
      expect({ recovered, missed }).toEqual({ recovered: true, missed: 1 });
      expect(await client.next()).toMatchObject({ event: 'message', data: { n: 1 } });
    }
  });

  it('logs that its password is wrong, and keeps trying', async () => {
    const redis = await startRedis(...['--user', 'bifrost', 'on', '>right', '~*', '&*', '+@all']);
    const program = await start(`redis://bifrost:wrong@127.0.0.1:${redis.port}`);
    await program.prints(/"level":50.*WRONGPASS invalid username-password pair/);
    const client = await connect(program);
    await client.ping();
    expect(await broadcast(program, {})).toEqual({ error: 'Broker unavailable' });

    await redis.command('ACL', 'SETUSER', 'bifrost', '>wrong');

    await program.prints(/broker available/);
    await client.subscribe('a');
    expect(await broadcast(program, {})).toEqual({ message: 'Success', deliveries: 1 });
    // It is in the URL, which nobody prints.
    expect(program.output).not.toContain('wrong@');
  });

  it('logs that it may not use its channels, and keeps trying', async () => {
    const redis = await startRedis(
      ...['--user', 'bifrost', 'on', '>right', '~*', '&others:*', '+@all'],
    );
    const program = await start(`redis://bifrost:right@127.0.0.1:${redis.port}`);
    await program.prints(/"level":50.*NOPERM/);
    const client = await connect(program);
    client.authenticate(sign({ channels: ['a'] }));
    await client.ping();
    expect(await broadcast(program, {})).toEqual({ error: 'Broker unavailable' });

    await redis.command('ACL', 'SETUSER', 'bifrost', 'allchannels');

    await program.prints(/broker available/);
    await client.next();
    expect(await broadcast(program, {})).toEqual({ message: 'Success', deliveries: 1 });
  });

  it.each([
    [
      'a certificate of a private authority',
      (authority: string) => ({
        NODE_EXTRA_CA_CERTS: authority,
      }),
    ],
    [
      'the same in every process',
      (authority: string) => ({
        NODE_EXTRA_CA_CERTS: authority,
        WEB_CONCURRENCY: '2',
      }),
    ],
    ['any certificate, where it is told so', () => ({ NODE_TLS_REJECT_UNAUTHORIZED: '0' })],
  ])('speaks TLS with %s', async (_, trust) => {
    const { authority, certificate, key } = await makeCertificate();
    const port = await freePort();
    await startRedis(
      ...['--tls-port', String(port), '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', certificate, '--tls-key-file', key],
    );
    const url = `rediss://localhost:${port}`;
    const env: Record<string, string> = trust(authority);
    const trusting = await start(url, env);
    const processes = Number(env['WEB_CONCURRENCY'] ?? 1);
    await trusting.prints(new RegExp('broker available[^]*'.repeat(processes)));
    const client = await (await connect(trusting)).subscribe('a');
    expect(await broadcast(trusting, { n: 1 })).toEqual({ message: 'Success', deliveries: 1 });
    expect(await client.next()).toEqual({ n: 1 });
    trusting.child.kill('SIGTERM');
    expect(await trusting.ended).toEqual({ code: 0, signal: null });

    const strict = await start(url);
    await strict.prints(
      /"level":50.*unable to verify the first certificate.*Redis connection lost, reconnecting/,
    );
  });

  it('answers the deliveries it knows of when a node dies before its reply', async () => {
    const redis = await startRedis();
    const [node] = await startNodes(redis, 1);
    const client = await (await node.connect()).subscribe('a');
    const victim = await start(redis.url);
    await victim.prints(/broker available/);
    await (await connect(victim)).subscribe('a');
    expect(await node.broadcast('a', { n: 1 })).toBe(2);
    await client.next();

    // It cannot reply, and Redis does not know.
    victim.child.kill('SIGSTOP');
    const since = performance.now();
    const posted = node.post(JSON.stringify({ token: sign({ channel: 'a', message: { n: 2 } }) }));
    // What has come here has been sent there.
    expect(await client.next()).toEqual({ n: 2 });
    victim.child.kill('SIGKILL');

    const response = await posted;
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"message":"Success","deliveries":1,"partial":true}');
    expect(performance.now() - since).toBeLessThan(4_000);
    // Nobody waits for the dead.
    expect(await node.broadcast('a', { n: 3 })).toBe(1);
  });
});

describe('the end of a program with REDIS_URL', () => {
  async function endsWell(program: Program): Promise<void> {
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual({ code: 0, signal: null });
  }

  it.each(['1', '2'])('leaves nothing open, with WEB_CONCURRENCY=%s', async (processes) => {
    const redis = await startRedis();
    const program = await start(redis.url, { WEB_CONCURRENCY: processes });
    for (let n = 0; n < Number(processes); n += 1) {
      await program.prints(new RegExp('broker available[^]*'.repeat(n + 1)));
    }
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => (await connect(program)).subscribe('a')),
    );
    // The workers' broker is Redis, too.
    expect(await broadcast(program, {})).toEqual({ message: 'Success', deliveries: 4 });
    await endsWell(program);
    for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 });
    expect(await redis.command('PUBSUB', 'CHANNELS')).toEqual([]);
  });

  it.each(['1', '2'])(
    'does not wait for Redis that is not running, with WEB_CONCURRENCY=%s',
    async (processes) => {
      const { url } = await prepareRedis();
      const program = await start(url, { WEB_CONCURRENCY: processes });
      await program.prints(/Redis connection lost, reconnecting/);
      await program.listening();
      await endsWell(program);
    },
  );

  it('does not wait for Redis that has been paused', async () => {
    const redis = await startRedis();
    const connected = await start(redis.url);
    await connected.prints(/broker available/);
    redis.pause();
    const connecting = await start(redis.url);
    await connecting.listening();
    for (const program of [connected, connecting]) await endsWell(program);
  });
});
