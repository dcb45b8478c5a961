import { randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, readFileSync } from 'node:fs';

/**
 * Makes a secret of 64 random bytes, appends it to the `.env` file at `path` and returns it.
 * The rest of the file stays as it is. Only its owner may read it afterwards. Throws when it cannot be written.
 */
export function createDevelopmentSecret(path: string): string {
  const secret = randomBytes(64).toString('hex');
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const newline = before === '' || before.endsWith('\n') ? '' : '\n';
  appendFileSync(path, `${newline}JWT_SECRET=${secret}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return secret;
}
