import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * The address of the client. Behind `trustedProxies` proxies it is the one that the outermost proxy saw: each proxy
 * appends to `X-Forwarded-For` the address that it saw, and whatever stands further left may be forged by the client.
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
