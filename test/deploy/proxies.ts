import { spawn } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { Program, temporaryFolder } from '../support/program.ts';

/** The certificate that the proxies show. */
export const CERT = resolve('test/fixtures/localhost.cert.pem');
const KEY = resolve('test/fixtures/localhost.key.pem');

export type Replacements = readonly (readonly [from: string, to: string])[];

/** A file of ours with each of these texts replaced; a text that is not there is a mistake of the test. */
export async function readWith(path: string, replacements: Replacements): Promise<string> {
  let text = await readFile(path, 'utf8');
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`${path} does not say "${from}"`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Debian's nginx with our snippet in front of a server; resolves to the port of its https. */
export async function startNginx(
  upstreamPort: number,
  replacements: Replacements = [],
): Promise<number> {
  const folder = await publicFolder();
  const port = await freePort();
  await writeFile(
    join(folder, 'bifrost.conf'),
    await readWith('deploy/nginx.conf', [
      ['127.0.0.1:3000', `127.0.0.1:${upstreamPort}`],
      ['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`],
      ['    listen [::]:443 ssl;\n', ''],
      ['/etc/letsencrypt/live/bifrost.example.com/fullchain.pem', CERT],
      ['/etc/letsencrypt/live/bifrost.example.com/privkey.pem', KEY],
      ...replacements,
    ]),
  );
  const main = join(folder, 'nginx.conf');
  await writeFile(
    main,
    `daemon off;
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  include ${folder}/bifrost.conf;
}
`,
  );
  await startDaemon(
    'nginx',
    ['-p', folder, '-e', 'stderr', '-c', main],
    folder,
    /start worker process /,
  );
  return port;
}

/** Debian's Caddy with our snippet, without its TLS, in front of a server; resolves to its port. */
export async function startCaddy(upstreamPort: number): Promise<number> {
  const folder = await publicFolder();
  const port = await freePort();
  const file = join(folder, 'Caddyfile');
  const site = await readWith('deploy/Caddyfile', [
    ['127.0.0.1:3000', `127.0.0.1:${upstreamPort}`],
    // A certificate for the real name cannot be had here.
    ['bifrost.example.com {', `http://127.0.0.1:${port} {`],
  ]);
  await writeFile(file, `{\n\tadmin off\n}\n${site}`);
  await startDaemon(
    'caddy',
    ['run', '--config', file, '--adapter', 'caddyfile'],
    folder,
    /serving initial configuration/,
  );
  return port;
}

/** Starts a program of Debian that is stopped when the test ends; resolves once it prints that it is ready. */
export async function startDaemon(
  name: string,
  args: readonly string[],
  home: string,
  isReady: RegExp,
): Promise<void> {
  const child = spawn(name, args, {
    env: { PATH: `${process.env['PATH']}:/usr/sbin`, HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const missing = new Promise<never>((_resolve, reject) => {
    child.on('error', (error) => reject(new Error(`${error.message}: apt-get install ${name}`)));
  });
  const program = new Program(child);
  onTestFinished(async () => {
    // Killed, nginx would leave its workers behind.
    child.kill('SIGTERM');
    await program.ended;
  });
  await Promise.race([program.prints(isReady), missing]);
}

/** A folder that a process which has dropped its rights can read and write. */
async function publicFolder(): Promise<string> {
  const folder = await temporaryFolder();
  await chmod(folder, 0o777);
  return folder;
}
