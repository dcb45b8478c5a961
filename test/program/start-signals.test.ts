import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { type Program, startProgram, temporaryFolder } from '../support/program.ts';
import { SECRET } from '../support/tokens.ts';

const PRELOAD = `--import ${new URL('../support/start-moments.js', import.meta.url).href}`;
const ENDED_BY_ITSELF = { code: 0, signal: null };

/** A program that prints the moments of its start and takes its time over each. */
async function startSlowly(env: Record<string, string>): Promise<Program> {
  return startProgram(await temporaryFolder(), {
    JWT_SECRET: SECRET,
    // Over at once, since nobody is connected; a start may take longer than the time beyond it.
    DRAIN_SECONDS: '20',
    NODE_OPTIONS: PRELOAD,
    ...env,
  });
}

/** Resolves when `count` processes of this kind have come to that moment; to the last that did. */
async function reached(program: Program, who: string, moment: string, count = 1): Promise<number> {
  const line = `moment: ${who} (\\d+) ${moment}\n`;
  const match = await program.prints(new RegExp(`(?:${line}[\\s\\S]*?){${count}}`));
  return Number(match[1]);
}

describe('SIGTERM', () => {
  it.each(['listens for SIGTERM', 'looks up its host'])(
    'ends a single process that %s with 0',
    async (moment) => {
      const program = await startSlowly({});
      await reached(program, 'first process', moment);
      program.child.kill('SIGTERM');
      expect(await program.ended).toEqual(ENDED_BY_ITSELF);
      expect(program.output).not.toContain('listens on');
    },
  );

  it.each(['begins', 'listens for messages', 'looks up its host'])(
    'ends workers that are starting: %s',
    async (moment) => {
      const program = await startSlowly({ WEB_CONCURRENCY: '2' });
      await reached(program, 'worker', moment);
      program.child.kill('SIGTERM');
      expect(await program.ended).toEqual(ENDED_BY_ITSELF);
      expect(program.output).not.toContain('killing it');
    },
  );

  it.each(['begins', 'listens for messages', 'looks up its host'])(
    'ends a starting worker that replaces another: %s',
    async (moment) => {
      const program = await startSlowly({ WEB_CONCURRENCY: '2', HOLD_MS: '100' });
      const victim = await reached(program, 'worker', 'looks up its host', 2);
      await program.prints(/listens on[\s\S]*listens on/);
      process.kill(victim, 'SIGKILL');
      await reached(program, 'worker', moment, 3);
      program.child.kill('SIGTERM');
      expect(await program.ended).toEqual(ENDED_BY_ITSELF);
      expect(program.output).not.toContain('killing it');
    },
  );

  it('does not wait for a worker that never gets ready', async () => {
    const program = await startSlowly({
      WEB_CONCURRENCY: '2',
      HOLD_MS: '600000',
      DRAIN_SECONDS: '0',
    });
    await reached(program, 'worker', 'begins', 2);
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual(ENDED_BY_ITSELF);
    expect(program.output.match(/did not exit within the drain window/g)).toHaveLength(2);
  });
});

describe('SIGHUP', () => {
  it('reaches workers that have read the old certificate but do not listen for messages yet', async () => {
    const folder = await temporaryFolder();
    const files = { TLS_CERT_FILE: join(folder, 'cert'), TLS_KEY_FILE: join(folder, 'key') };
    const use = async (name: string) => {
      await copyFile(`test/fixtures/${name}.cert.pem`, files.TLS_CERT_FILE);
      await copyFile(`test/fixtures/${name}.key.pem`, files.TLS_KEY_FILE);
    };
    await use('localhost');
    const program = await startSlowly({ WEB_CONCURRENCY: '2', ...files });
    await reached(program, 'worker', 'has read its certificate', 2);
    await use('renewed');
    program.child.kill('SIGHUP');

    await program.prints(/certificate renewed[\s\S]*certificate renewed/);
    const socket = connect({ port: await program.listening(), rejectUnauthorized: false });
    const subject = await new Promise((resolve) =>
      socket.once('secureConnect', () => resolve(socket.getPeerCertificate().subject.CN)),
    );
    socket.destroy();
    expect(subject).toBe('renewed.test');
  });
});
