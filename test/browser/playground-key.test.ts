import { expect, it } from 'vitest';
import { createPlaygroundKey } from '../../src/pages/playground-key.ts';
import { startServer } from '../support/server.ts';
import { partsOf } from './parts.ts';
import { useBrowser } from './playground.ts';

const { openPage } = useBrowser();

it('the playground broadcasts with the key of its own address', async () => {
  const playgroundKey = createPlaygroundKey();
  const { url, connect } = await startServer({}, undefined, { playgroundKey });
  const alice = await (await connect()).subscribe('user:1');
  const { page } = await openPage();
  await page.goto(`${url}/test?key=${playgroundKey}`);
  const minted = page.waitForResponse(`${url}/test/token?key=${playgroundKey}`);
  await partsOf(page).press('Broadcast');
  expect((await minted).status()).toBe(200);
  await alice.next();
});
