import { localUrl } from '../config/local-url.ts';
import { VERSION } from '../config/version.ts';

/** What a person at a terminal is told of a server that has started. */
export interface Greeting {
  readonly tls: boolean;
  /** What it is bound to; undefined is every interface. */
  readonly host: string | undefined;
  readonly port: number;
  /** Where the playground is, with its key if it needs one. */
  readonly playgroundPath: string;
  /** False if the commands look for the server elsewhere, unless they are told where it is. */
  readonly isFoundByCommands: boolean;
  /** Where a secret was kept that this start has made. */
  readonly secretFile: string | undefined;
}

const COMMAND = 'npx --no-install bifrost';
const MESSAGE = '{"event":"new_item","data":"{}"}';

/** The lines of the greeting, with line feeds: what to open, and what to try in other terminals. */
export function greetingText(greeting: Greeting): string {
  const { tls, host, port, playgroundPath, isFoundByCommands, secretFile } = greeting;
  const url = localUrl(tls ? 'https' : 'http', host, port);
  const option = isFoundByCommands ? '' : ` --url ${url}`;
  const rows = [
    ['Playground', url + playgroundPath],
    ['Listen', `${COMMAND} listen user:1${option}`],
    ['Broadcast', `${COMMAND} broadcast user:1 '${MESSAGE}'${option}`],
  ];
  if (secretFile !== undefined) {
    rows.push([
      'Secret',
      `made now, and kept as JWT_SECRET in ${secretFile}: your app needs it too`,
    ]);
  }
  const lines = rows.map(([name = '', text]) => `  ${name.padEnd(10)}  ${text}\n`);
  return `\n  Bifröst ${VERSION} listens on ${url}\n\n${lines.join('')}\n`;
}
