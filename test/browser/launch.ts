import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type LaunchOptions } from 'playwright-core';

function findChromium(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders.map((folder) => join(folder, 'chromium')).find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error('chromium is not on the PATH: apt-get install chromium');
  }
  return found;
}

/** How every browser here is started. */
export const launchOptions = (): LaunchOptions => ({
  executablePath: findChromium(),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

/** A headless browser of its own, which talks to nobody but the tests. Whoever launches it closes it. */
export function launchChromium(more: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({ ...launchOptions(), ...more });
}
