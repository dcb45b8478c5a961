import { DistributedBroker } from '../../../../src/broker/nodes/broker-distributed.ts';
import { Hub } from '../../../../src/hub/hub.ts';
import type { Channel } from '../../../../src/protocol/channel.ts';
import { ManualBus } from '../../../support/manual-bus.ts';

/** The name of another node. */
export const OTHER = 'abcdefab-2222-4333-8444-555555555555';

/** A node on a bus that keeps messages if it `hasHistory`. */
export function createBroker({ hasHistory = false, maxRecoveries = 4 } = {}) {
  const hub = new Hub();
  const bus = new ManualBus(hasHistory, maxRecoveries);
  let losses = 0;
  const changes: boolean[] = [];
  const malformed: string[] = [];
  const broker = new DistributedBroker(hub, bus, {
    prefix: 'p:',
    onChange: (isAvailable) => changes.push(isAvailable),
    onLoss: () => (losses += 1),
    onMalformed: (topic) => malformed.push(topic),
  });
  return { hub, bus, broker, changes, malformed, losses: () => losses };
}

export const channel = 'a' as Channel;
export const subscriber = { deliver: () => true };
export const broadcast = { channel, message: '{"n":1}' };
