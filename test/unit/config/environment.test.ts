import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readEnvironment } from '../../../src/config/environment.ts';
import { temporaryFolder } from '../../support/program.ts';
import { dotenvFile } from './dotenv-file.ts';

describe('readEnvironment', () => {
  it('adds what .env says to what is set, and an empty variable is like none', async () => {
    const path = await dotenvFile('PORT=1\nHOST=file\nLOG_LEVEL=debug\n');
    expect(readEnvironment({ PORT: '2', HOST: '', OTHER: undefined }, path)).toEqual({
      variables: { PORT: '2', HOST: 'file', LOG_LEVEL: 'debug' },
      fromDotenv: ['HOST', 'LOG_LEVEL'],
      problems: [],
    });
  });

  it.each(['DOTENV_OVERRIDE', 'DOTENV_CONFIG_OVERRIDE'])(
    'lets no .env win over the environment, whatever %s says',
    async (name) => {
      const path = await dotenvFile('PORT=1\n');
      process.env[name] = 'true';
      onTestFinished(() => {
        delete process.env[name];
      });
      expect(readEnvironment({ PORT: '2' }, path).variables).toEqual({ PORT: '2' });
    },
  );

  it('has nothing to say about a .env that is not there', async () => {
    const path = join(await temporaryFolder(), '.env');
    expect(readEnvironment({ PORT: '2' }, path)).toEqual({
      variables: { PORT: '2' },
      fromDotenv: [],
      problems: [],
    });
  });
});
