import { expect, it } from 'vitest';
import { PostedBroadcasts } from '../../../src/testing/posted-broadcasts.ts';

it('remembers the newest 10,000 broadcasts', async () => {
  const posted = new PostedBroadcasts();
  for (let n = 0; n <= 10_000; n += 1) posted.add({ channel: 'a', message: { n }, deliveries: 0 });
  expect(posted.all).toHaveLength(10_000);
  expect(posted.all[0]?.message).toEqual({ n: 1 });
  expect((await posted.next()).message).toEqual({ n: 1 });
});
