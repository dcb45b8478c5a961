import type { Handler } from './router.ts';

/** Whether a load balancer should send clients here. */
export type Health = 'ok' | 'draining' | 'broker unavailable';

/** `GET /healthz`: 200 while all is well, 503 with the reason otherwise. */
export function healthHandler(health: () => Health): Handler {
  return () => {
    const status = health();
    return {
      status: status === 'ok' ? 200 : 503,
      contentType: 'application/json',
      body: JSON.stringify({ status }),
    };
  };
}
