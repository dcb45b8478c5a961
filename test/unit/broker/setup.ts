import { DistributedBroker } from '../../../src/broker/broker-distributed.ts';
import { Hub } from '../../../src/hub/hub.ts';
import type { Channel } from '../../../src/protocol/channel.ts';
import { ManualBus } from '../../support/manual-bus.ts';

/** The name of another node. */
export const OTHER = 'abcdefab-2222-4333-8444-555555555555';

export function createBroker() {
  const hub = new Hub();
  const bus = new ManualBus();
  const changes: boolean[] = [];
  const malformed: string[] = [];
  const broker = new DistributedBroker(hub, bus, {
    prefix: 'p:',
    onChange: (isAvailable) => changes.push(isAvailable),
    onMalformed: (topic) => malformed.push(topic),
  });
  return { hub, bus, broker, changes, malformed };
}

export const channel = 'a' as Channel;
export const subscriber = { deliver: () => true };
export const broadcast = { channel, message: '{"n":1}' };
