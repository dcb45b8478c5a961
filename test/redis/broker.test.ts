import { describe } from 'vitest';
import { behavesAsBroker } from '../support/broker-suite.ts';
import { startNodes, startRedis } from './nodes.ts';

describe('the broker of many nodes on Redis', () => {
  behavesAsBroker(async () => startNodes(await startRedis(), 3));
});
