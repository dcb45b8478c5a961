import { describeClientIn } from './client-runtimes.ts';

describeClientIn(['Bun', 'Deno']);
