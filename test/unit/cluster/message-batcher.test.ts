import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type MessageBatch, MessageBatcher } from '../../../src/cluster/message-batcher.ts';

it('posts the messages of one turn as one batch, in its order', async () => {
  const posted: MessageBatch<number>[] = [];
  const batcher = new MessageBatcher<number>((batch) => posted.push(batch));
  batcher.add(1);
  batcher.add(2);
  expect(posted).toEqual([]);
  await setImmediate();
  batcher.add(3);
  await setImmediate();
  expect(posted.map(({ messages }) => messages)).toEqual([[1, 2], [3]]);
});
