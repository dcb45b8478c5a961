import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Recovery } from '../broker/history.ts';
import type { Config } from '../config/config.ts';
import type { Channel } from '../protocol/channel.ts';
import { parseSubscription } from '../protocol/claims.ts';
import { type Disconnect, disconnects } from '../protocol/close-codes.ts';
import type { Parsed } from '../protocol/json.ts';
import type { AuthenticationFailure } from '../telemetry/metrics.ts';
import { ChannelExpiry } from './channel-expiry.ts';
import type { Connection, ConnectionContext } from './connection.ts';
import { type PendingToken, PendingTokens } from './pending-tokens.ts';
import { createRequest, joinChannels } from './recovery.ts';

/** How many tokens of a connection may wait for the broker before reading from its socket is paused. */
const MAX_PENDING_TOKENS = 16;

/**
 * While the broker is unavailable, a connection may have this many times `MAX_CHANNELS_PER_CONNECTION` confirmations
 * waiting.
 */
const MAX_PENDING_CONFIRMATIONS_FACTOR = 4;

/** The tokens of one connection: verifies them, subscribes to their channels, and ends the connection without them. */
export class Authentication {
  /** True once a valid token has been confirmed. */
  isDone = false;
  readonly #connection: Connection;
  readonly #context: ConnectionContext;
  /** The timer slot of the authentication timeout; undefined when there is none any more. */
  #timeoutSlot: number | undefined;
  /** Undefined without `ENFORCE_TOKEN_EXPIRY`. */
  #expiry: ChannelExpiry | undefined;
  /** Undefined while no token waits for the broker. */
  #pending: PendingTokens | undefined;

  /** Starts the authentication timeout. */
  constructor(connection: Connection, context: ConnectionContext) {
    this.#connection = connection;
    this.#context = context;
    const { authTimeoutMs } = context.config;
    if (authTimeoutMs > 0) {
      this.#timeoutSlot = context.connections.authenticationTimeouts.set(this, authTimeoutMs);
    }
  }

  /** True while so many tokens wait for the broker that no more should be read. */
  get hasTooManyPending(): boolean {
    return this.#pending !== undefined && this.#pending.count > MAX_PENDING_TOKENS;
  }

  /** True while a token is not answered yet. */
  get isAnswering(): boolean {
    return this.#pending !== undefined;
  }

  /**
   * Takes the token of an `authenticate` message, undefined if the message had none, and its `since`: what the client
   * has come to, undefined if it does not ask for positions.
   */
  authenticate(token: string | undefined, since: string | null | undefined): void {
    const { broker, config, hub, tokens } = this.#context;
    const grant = parseGrant(token, tokens, config);
    if (!grant.ok) {
      this.#refuse(grant.reason.disconnect, grant.reason.failure);
      return;
    }
    const { channels } = grant.value;
    if (this.#isTooMany(channels)) {
      this.#refuse(disconnects.tooManyChannels, 'limits');
      return;
    }
    if (config.enforceTokenExpiry) this.#extendExpiry(grant.value);

    const waiting: PendingToken = { channels, since, isReady: false };
    waiting.isReady = broker.subscribe(this.#connection, channels, () => {
      waiting.isReady = true;
      this.#confirmReady();
    });
    if (waiting.isReady && this.#pending === undefined && !this.#isPositioned(waiting)) {
      this.#confirm(channels);
      return;
    }
    this.#pending ??= new PendingTokens();
    this.#pending.add(
      waiting,
      channels.filter((channel) => !hub.isSubscribed(this.#connection, channel)),
    );
    if (waiting.isReady) this.#confirmReady();
    else this.#connection.pendingTokensChanged();
  }

  /** Called when the authentication timeout is over. */
  timeOut(): void {
    this.#refuse(disconnects.authenticationTimeout, 'timeout');
  }

  /** Called when a channel has no token left that is still valid. */
  expire(): void {
    this.#connection.end(disconnects.tokenExpired);
  }

  /** Clears the timers and drops the tokens that wait. Safe to call twice. */
  stop(): void {
    this.#clearTimeout();
    this.#clearExpiry();
    if (this.#pending !== undefined) {
      this.#context.replays.cancel(this);
      this.#releaseReserved(this.#pending);
      this.#pending = undefined;
    }
    this.#context.broker.unsubscribe(this.#connection);
  }

  #refuse(disconnect: Disconnect, failure: AuthenticationFailure): void {
    if (this.#connection.isOpen) this.#context.metrics?.authenticationFailed(failure);
    this.#connection.end(disconnect);
  }

  /** Confirms the tokens that the broker is ready for, in their order: one that is not ready holds up those after it. */
  #confirmReady(): void {
    for (let token = this.#pending?.ready; token; token = this.#pending?.ready) {
      if (this.#isPositioned(token)) {
        this.#recover(token);
      } else {
        this.#pending?.shift();
        this.#confirm(token.channels);
      }
    }
    if (this.#pending?.count === 0) this.#pending = undefined;
    this.#connection.pendingTokensChanged();
  }

  #isPositioned({ since }: PendingToken): boolean {
    return since !== undefined || this.#connection.isPositioned;
  }

  /** Reads what the connection has missed of the oldest token's channels, and joins it to them. */
  #recover({ channels, since = null }: PendingToken): void {
    const { broker, hub, replays } = this.#context;
    const pending = this.#pending;
    if (pending === undefined) return;
    pending.isRecovering = true;
    // The token is verified and its subscriptions are confirmed: what is left takes as long as the others before it.
    this.#clearTimeout();
    const request = createRequest(this.#connection, hub, { channels, since });
    const read = () => {
      pending.reservedBytes = reservedBytes;
      broker.recover(this.#connection, request, (recovery: Recovery | undefined) => {
        pending.isRecovering = false;
        pending.shift();
        this.#releaseReserved(pending);
        if (recovery === undefined) {
          this.#connection.end(disconnects.brokerLost);
          return;
        }
        this.isDone = true;
        joinChannels(this.#connection, this.#context, channels, request, recovery);
        this.#confirmReady();
      });
    };
    const reservedBytes = since === null || channels.length === 0 ? 0 : request.maxBytes;
    if (reservedBytes === 0) read();
    else replays.reserve(this, reservedBytes, read);
  }

  #releaseReserved(pending: PendingTokens): void {
    const { reservedBytes } = pending;
    if (reservedBytes === 0) return;
    pending.reservedBytes = 0;
    this.#context.replays.release(reservedBytes);
  }

  /** Must be called in the turn from which on broadcasts of all these channels arrive here. */
  #confirm(channels: readonly Channel[]): void {
    this.isDone = true;
    this.#clearTimeout();
    for (const channel of channels) this.#context.hub.subscribe(this.#connection, channel);
  }

  #isTooMany(channels: readonly Channel[]): boolean {
    const { hub, config } = this.#context;
    const max = config.maxChannelsPerConnection;
    const pending = this.#pending;
    if (pending === undefined) return hub.countWith(this.#connection, channels) > max;

    // Repeated channels count once, but each of their confirmations takes memory while it waits.
    if (pending.confirmations > MAX_PENDING_CONFIRMATIONS_FACTOR * max) return true;
    const further = channels.filter((channel) => !pending.channels.has(channel));
    return pending.channels.size + hub.countWith(this.#connection, further) > max;
  }

  /** Called when a token arrives, not when it is confirmed: a token that arrived in time may wait for the broker. */
  #extendExpiry({ channels, expiresAt }: Grant): void {
    this.#expiry ??= new ChannelExpiry();
    this.#expiry.grant(channels, expiresAt);
    this.#clearExpiry();
    const { expiresAt: first } = this.#expiry;
    if (first === Number.POSITIVE_INFINITY) return;
    this.#expiry.slot = this.#context.connections.tokenExpiries.set(this, first - Date.now());
  }

  #clearTimeout(): void {
    if (this.#timeoutSlot === undefined) return;
    this.#context.connections.authenticationTimeouts.clear(this, this.#timeoutSlot);
    this.#timeoutSlot = undefined;
  }

  #clearExpiry(): void {
    if (this.#expiry?.slot === undefined) return;
    this.#context.connections.tokenExpiries.clear(this, this.#expiry.slot);
    this.#expiry.slot = undefined;
  }
}

/** What a valid token asks for. */
interface Grant {
  readonly channels: readonly Channel[];
  /** Its `exp` in milliseconds since 1970; infinity without `exp`. */
  readonly expiresAt: number;
}

/** Why a token ends the connection: as the close frame says it, and as the metrics count it. */
interface Refusal {
  readonly disconnect: Disconnect;
  readonly failure: AuthenticationFailure;
}

const REFUSED_TOKEN: Refusal = { disconnect: disconnects.notAuthorized, failure: 'token' };

const CHANNEL_FAULTS = {
  type: { disconnect: disconnects.invalidChannels, failure: 'channels' },
  length: { disconnect: disconnects.channelTooLong, failure: 'limits' },
  unicode: { disconnect: disconnects.malformedChannel, failure: 'channels' },
} as const satisfies Record<string, Refusal>;

function parseGrant(
  token: string | undefined,
  tokens: TokenVerifier,
  { maxChannelLength }: Config,
): Parsed<Grant, Refusal> {
  const signed = token === undefined ? undefined : tokens.verify(token);
  if (!signed?.ok) return { ok: false, reason: REFUSED_TOKEN };

  const channels = parseSubscription(signed.value, maxChannelLength);
  if (!channels.ok) return { ok: false, reason: CHANNEL_FAULTS[channels.reason] };
  const exp = signed.value.claims['exp'];
  const expiresAt = typeof exp === 'number' ? exp * 1_000 : Number.POSITIVE_INFINITY;
  return { ok: true, value: { channels: channels.value, expiresAt } };
}
