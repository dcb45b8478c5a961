import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startProgramWithFiles, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';

const FILES = 256;
const CONNECTIONS = 700;
/** Served again after a shortage: the contract says 5 s. */
const BACK_WITHIN_MS = 15_000;

/** Connects and says nothing; resolves when it was let in or refused. */
async function openIdle(port: number, sockets: Socket[]): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => {});
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
}

describe.each(['1', '2'])('file descriptors that run out, with %s process(es)', (processes) => {
  it('are logged and counted, and the server accepts connections again when some are free', async () => {
    const program = startProgramWithFiles(FILES, await temporaryFolder(), {
      JWT_SECRET: SECRET,
      WEB_CONCURRENCY: processes,
      METRICS: 'true',
    });
    await program.prints(new RegExp(`(?:listens on[\\s\\S]*){${processes}}`));
    const port = await program.listening();
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        headers: { Connection: 'close' },
        signal: AbortSignal.timeout(BACK_WITHIN_MS),
      });
      return response.text();
    };
    const shortages = async () =>
      Number(/^bifrost_descriptor_shortages_total (\d+)$/m.exec(await get('/metrics'))?.[1]);
    expect(await shortages()).toBe(0);

    const sockets: Socket[] = [];
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const line = /"level":50.*no file descriptor is left/;
    const told = program.prints(line);
    for (let n = 0; n < CONNECTIONS; n += 1) await openIdle(port, sockets);
    await told;
    // Newcomers are closed instead of waiting for ever.
    await Promise.race(sockets.map((socket) => socket.closed || once(socket.resume(), 'close')));

    for (const socket of sockets) socket.destroy();
    const start = performance.now();
    for (let count = 0; !(count > 0); ) count = await shortages().catch(() => 0);
    expect(performance.now() - start).toBeLessThan(BACK_WITHIN_MS);
    // At most once a minute and process.
    expect(program.output.match(new RegExp(line, 'g'))?.length).toBeLessThanOrEqual(
      Number(processes),
    );
  });
});
