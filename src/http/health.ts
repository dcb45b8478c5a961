import type { Handler } from './router.ts';

/** Tells a load balancer whether to send clients here. */
export type Health = 'ok' | 'draining' | 'broker unavailable';

/** `GET /healthz`: 200 while all is well, 503 with the reason otherwise. */
export function healthHandler(health: () => Health): Handler {
  return (_request, respond) => {
    const status = health();
    respond({
      status: status === 'ok' ? 200 : 503,
      contentType: 'application/json',
      body: JSON.stringify({ status }),
    });
  };
}
