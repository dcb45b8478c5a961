import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Letters, Mailbox } from '../../../src/broker/message-batcher.ts';

it('posts what was put in one turn as one message, in its order', async () => {
  const posted: Letters<number>[] = [];
  const mailbox = new Mailbox<number>((letters) => posted.push(letters));
  mailbox.put(1);
  mailbox.put(2);
  expect(posted).toEqual([]);
  await setImmediate();
  mailbox.put(3);
  await setImmediate();
  expect(posted.map(({ letters }) => letters)).toEqual([[1, 2], [3]]);
});
