import { describeClientIn } from './client-runtimes.ts';

describeClientIn(['Node 20', 'Node 22', 'Node 24', 'Node 26']);
