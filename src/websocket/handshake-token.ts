import type { IncomingMessage } from 'node:http';
import { type Grant, parseGrant, type Refusal, TOO_MANY_CHANNELS } from '../auth/grant.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Config } from '../config/config.ts';
import { HttpError } from '../http/http-error.ts';
import { disconnects } from '../protocol/close-codes.ts';
import type { Parsed } from '../protocol/json.ts';
import type { AuthenticationFailure } from '../telemetry/metrics.ts';

/** What the token in a handshake grants. */
export interface HandshakeToken {
  readonly grant: Grant;
  /** Like the member of an `authenticate` message: undefined when the client does not ask for positions. */
  readonly since: string | null | undefined;
}

/** What `readHandshakeToken` needs. */
export interface HandshakeTokenOptions {
  readonly config: Config;
  readonly tokens: TokenVerifier;
  readonly metrics: { authenticationFailed(failure: AuthenticationFailure): void } | undefined;
}

/**
 * The token that a handshake carries in `Authorization: Bearer` (RFC 6750 §2.1), for clients that can set header fields.
 * Undefined for a handshake without one, or when `TOKEN_AT_CONNECT` is off: gateways send such fields of their own.
 * Throws an `HttpError` for a token that is not accepted.
 */
export function readHandshakeToken(
  { headers }: IncomingMessage,
  { config, tokens, metrics }: HandshakeTokenOptions,
): HandshakeToken | undefined {
  if (!config.tokenAtConnect) return undefined;
  // The scheme is case-insensitive (RFC 9110 §11.1).
  const [scheme, token] = /^bearer(?:[ \t]+(.*))?$/i.exec(headers.authorization ?? '') ?? [];
  if (scheme === undefined) return undefined;

  const grant = parseHandshakeGrant(token, config, tokens);
  if (!grant.ok) {
    metrics?.authenticationFailed(grant.reason.failure);
    throw toHttpError(grant.reason);
  }
  return { grant: grant.value, since: parseSince(headers['last-event-id']) };
}

function parseHandshakeGrant(
  token: string | undefined,
  { maxChannelLength, maxChannelsPerConnection }: Config,
  tokens: TokenVerifier,
): Parsed<Grant, Refusal> {
  const grant = parseGrant(token, tokens, maxChannelLength);
  if (!grant.ok || new Set(grant.value.channels).size <= maxChannelsPerConnection) return grant;
  return { ok: false, reason: TOO_MANY_CHANNELS };
}

function toHttpError({ disconnect }: Refusal): HttpError {
  const { reason } = disconnect;
  if (disconnect !== disconnects.notAuthorized) return new HttpError(400, reason);
  return new HttpError(401, reason, { 'WWW-Authenticate': 'Bearer' });
}

/** Some HTTP libraries leave out a field that is empty, so `now` says the same. */
function parseSince(lastEventId: string | string[] | undefined): string | null | undefined {
  if (lastEventId === undefined) return undefined;
  return lastEventId === '' || lastEventId === 'now' ? null : String(lastEventId);
}
