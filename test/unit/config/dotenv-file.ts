import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../../support/program.ts';

/** Returns the path of a new `.env` with this content. */
export async function dotenvFile(content: string | Buffer): Promise<string> {
  const path = join(await temporaryFolder(), '.env');
  await writeFile(path, content);
  return path;
}
