import { describe, expect, it } from 'vitest';
import { VERSION } from '../../../src/config/version.ts';
import { type Greeting, greetingText } from '../../../src/start/greeting.ts';

const BY_DEFAULT: Greeting = {
  tls: false,
  host: undefined,
  port: 3000,
  playgroundPath: '/test',
  isFoundByCommands: true,
  secretFile: undefined,
};

describe('the greeting', () => {
  it('says what to open and what to try, in a few lines', () => {
    expect(greetingText(BY_DEFAULT)).toBe(`
  Bifröst ${VERSION} listens on http://localhost:3000

  Playground  http://localhost:3000/test
  Listen      npx --no-install bifrost listen user:1
  Broadcast   npx --no-install bifrost broadcast user:1 '{"event":"new_item","data":"{}"}'

`);
  });

  it.each<[string, Partial<Greeting>]>([
    ['http://localhost:80', { port: 80 }],
    ['http://localhost:3000', { host: '0.0.0.0' }],
    ['http://localhost:3000', { host: '::' }],
    ['http://127.0.0.1:3000', { host: '127.0.0.1' }],
    ['http://[::1]:3000', { host: '::1' }],
    ['https://dev.example:443', { tls: true, host: 'dev.example', port: 443 }],
  ])('names the address %s for %o', (url, settings) => {
    const text = greetingText({ ...BY_DEFAULT, ...settings, playgroundPath: '/test?key=1' });
    expect(text).toContain(`listens on ${url}\n`);
    expect(text).toContain(`Playground  ${url}/test?key=1\n`);
    expect(text).not.toContain('--url');
  });

  it('tells the commands where the server is if they would not find it', () => {
    const text = greetingText({ ...BY_DEFAULT, port: 4000, isFoundByCommands: false });
    expect(text).toContain('bifrost listen user:1 --url http://localhost:4000\n');
    expect(text).toContain('"{}"}\' --url http://localhost:4000\n');
  });

  it('says where the secret is that was made', () => {
    const text = greetingText({ ...BY_DEFAULT, secretFile: '/srv/.env' });
    expect(text).toMatch(/^ {2}Secret {6}made now, and kept as JWT_SECRET in \/srv\/\.env: .*$/m);
  });
});
