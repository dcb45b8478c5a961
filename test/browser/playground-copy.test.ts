import { describe, expect, it } from 'vitest';
import { startAppServer } from '../support/client-app.ts';
import { run, sampleFolder, type Tool } from '../support/process.ts';
import { SECRET } from '../support/tokens.ts';
import { shows } from './parts.ts';
import { useBrowser } from './playground.ts';

const { openPage, openPlayground } = useBrowser();

/** Everything that a shell or a language may take for something else. */
const CHANNEL = `it's "1" $HOME #{x} \\ \`id\` %s </script> ö`;
const MESSAGE = `{"event": "it's", "data":"\\"a\\\\b\\n\\u00e9 #{x} $(id) \\\\' %d {{channel}} </script>",\n "n":9007199254740993}`;

const TOOLS: readonly (readonly [string, string, Tool])[] = [
  ['curl', 'broadcast.sh', { command: 'sh', needs: 'sh, curl and openssl' }],
  ['Node', 'broadcast.mjs', { command: process.execPath, needs: 'Node' }],
  ['Ruby', 'broadcast.rb', { command: 'ruby', needs: 'apt-get install ruby ruby-jwt' }],
  // Debian's packages are those of Debian's Python; another one may come first on the PATH.
  ['Python', 'broadcast.py', { command: '/usr/bin/python3', needs: 'apt-get install python3-jwt' }],
];

const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] };

/** A playground that may write to the clipboard. */
async function openCopying() {
  const playground = await openPlayground({}, CLIPBOARD);
  return {
    ...playground,
    /** The code that is in the clipboard after the button was pressed. */
    async copyAs(language: string): Promise<string> {
      await playground.press(language);
      await shows(playground.broadcast, 'Copied');
      return playground.page.evaluate<string>('navigator.clipboard.readText()');
    },
  };
}

describe('the code that the playground copies', () => {
  it.each(TOOLS)('broadcasts what the form does: %s', async (language, file, tool) => {
    const { server, page, message, copyAs } = await openCopying();
    const alice = await (await server.connect()).subscribe(CHANNEL);
    await page.getByLabel('Channel', { exact: true }).fill(CHANNEL);
    await message.fill(MESSAGE);
    const code = await copyAs(language);
    expect(code).not.toContain(SECRET);
    expect(await page.getByRole('region', { name: 'The code' }).textContent()).toBe(code);

    const cwd = await sampleFolder({ [file]: code });
    const printed = await run(tool, [file], { cwd, env: { JWT_SECRET: SECRET } });
    expect(await alice.nextText()).toBe(MESSAGE);
    expect(printed).toMatch(/deliveries"?: ?1\b/);
  });

  it.each(TOOLS)('needs the secret, which it does not have: %s', async (language, file, tool) => {
    const { copyAs } = await openCopying();
    const cwd = await sampleFolder({ [file]: await copyAs(language) });
    const env: Record<string, string | undefined> = { JWT_SECRET: undefined };
    await expect(run(tool, [file], { cwd, env: env as Record<string, string> })).rejects.toThrow(
      /JWT_SECRET|"key" argument/,
    );
  });

  it('subscribes in a page of another origin: browser', async () => {
    const { server, channels, copyAs } = await openCopying();
    await channels.fill('user:1, </script>');
    const code = await copyAs('browser');
    expect(code).toContain('// ["user:1","\\u003c/script>"]');
    const app = await startAppServer({ body: `<!doctype html>${code}` });
    const { page } = await openPage();
    const subscribed = page
      .waitForEvent('websocket')
      .then((socket) =>
        socket.waitForEvent('framereceived', ({ payload }) => payload.includes('position')),
      );
    await page.goto(app.url);
    await subscribed;
    const heard = page.waitForEvent('console', (line) => line.text() === 'user:1 {"n":1.0}');
    await server.broadcast('user:1', '{"n":1.0}');
    await heard;
  });

  it('is not made of a message that is none', async () => {
    const { page, message, press, broadcast } = await openPlayground();
    await message.fill('{"event"}');
    await press('Node');
    await shows(broadcast, 'Not JSON: line 1, column 9');
    expect(await page.getByRole('region', { name: 'The code' }).count()).toBe(0);
  });
});

it('the playground copies an entry as it came', async () => {
  const { server, page, choose, press, state, frames } = await openPlayground({}, CLIPBOARD);
  await choose('a plain websocket');
  await press('Connect');
  await shows(state, 'Subscribed to 1 channel');
  const text = '{"b":9007199254740993,  "a":1.0}';
  await server.broadcast('user:1', text);
  const entry = frames('received').filter({ hasText: '9007199254740993' });
  await entry.click();
  await entry.getByRole('button', { name: 'Copy' }).click();
  await shows(entry, 'Copied');
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(text);
});

it('without a clipboard the playground selects the code to be copied', async () => {
  const { page, press, broadcast } = await openPlayground();
  await page.evaluate('navigator.clipboard.writeText = () => Promise.reject(new Error())');
  await press('Node');
  await shows(broadcast, 'Copy it from here');
  const selected = await page.evaluate<string>('String(getSelection())');
  expect(selected).toContain("createHmac('sha512', process.env.JWT_SECRET)");
});
