import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * The address of the client: the socket's, or with `trustedProxies` proxies in front what the outermost of these saw.
 * Each proxy appends to `X-Forwarded-For` whom it saw, so what stands further left than they go is the client's word.
 */
export function addressOf(request: IncomingMessage, trustedProxies: number): string {
  const direct = request.socket.remoteAddress ?? 'unknown';
  if (trustedProxies === 0) return direct;

  const seen = [request.headers['x-forwarded-for'] ?? '']
    .flat()
    .join(',')
    .split(',')
    .slice(-trustedProxies);
  const outermost = seen[0]?.trim() ?? '';
  return isIP(outermost) === 0 ? direct : outermost;
}
