import type { Broker } from '../broker/broker.ts';
import { HttpError } from './http-error.ts';
import { json } from './reply.ts';
import type { Handler } from './router.ts';

/**
 * `GET /position`: where the one order of broadcasts stands. A page that is rendered after it was taken, and connects with
 * it, misses nothing that was broadcast in between.
 */
export function positionHandler(broker: Broker): Handler {
  return (_request, respond) => {
    const position = broker.position();
    if (position === undefined) {
      throw new HttpError(503, 'Broker unavailable', { 'Retry-After': '1' });
    }
    respond({
      ...json(JSON.stringify({ position })),
      headers: { 'Cache-Control': 'no-store' },
    });
  };
}
