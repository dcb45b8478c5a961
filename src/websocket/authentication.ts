import { type Grant, parseGrant, type Refusal, TOO_MANY_CHANNELS } from '../auth/grant.ts';
import type { Recovery } from '../broker/history.ts';
import type { Channel } from '../protocol/channel.ts';
import { disconnects } from '../protocol/close-codes.ts';
import { ChannelExpiry } from './channel-expiry.ts';
import type { Connection } from './connection.ts';
import type { ConnectionContext } from './connection-context.ts';
import { type PendingToken, PendingTokens } from './pending-tokens.ts';
import { createRequest, joinChannels } from './recovery.ts';

/** How many tokens of a connection may wait for the broker before reading from its socket is paused. */
const MAX_PENDING_TOKENS = 16;

/**
 * While the broker is unavailable, a connection may have this many times `MAX_CHANNELS_PER_CONNECTION` confirmations
 * waiting.
 */
const MAX_PENDING_CONFIRMATIONS_FACTOR = 4;

const TIMEOUT = { disconnect: disconnects.authenticationTimeout, failure: 'timeout' } as const;

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
  /** Undefined while no token waits, and no replay is written. */
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
    return this.#pending !== undefined && this.#pending.count > 0;
  }

  /**
   * Takes the token of an `authenticate` message, undefined if the message had none, and its `since`: what the client
   * has come to, undefined if it does not ask for positions.
   */
  authenticate(token: string | undefined, since: string | null | undefined): void {
    const { config, tokens } = this.#context;
    const grant = parseGrant(token, tokens, config.maxChannelLength);
    if (!grant.ok) this.#refuse(grant.reason);
    else if (this.#isTooMany(grant.value.channels)) this.#refuse(TOO_MANY_CHANNELS);
    else this.accept(grant.value, since);
  }

  /** Subscribes to what a token grants that has been checked, the number of its channels too. */
  accept(grant: Grant, since: string | null | undefined): void {
    const { broker, config, hub } = this.#context;
    const { channels } = grant;
    if (config.enforceTokenExpiry) this.#extendExpiry(grant);

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
    this.#refuse(TIMEOUT);
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

  #refuse({ disconnect, failure }: Refusal | typeof TIMEOUT): void {
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
    if (this.#pending?.count === 0 && !this.#pending.isReplaying) this.#pending = undefined;
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
        if (recovery === undefined) {
          this.#releaseReserved(pending);
          this.#connection.end(disconnects.brokerLost);
          return;
        }
        this.isDone = true;
        const join = { channels, request, recovery };
        pending.isReplaying = joinChannels(this.#connection, this.#context, join, () => {
          pending.isReplaying = false;
          if (this.#pending === pending) this.#confirmReady();
        });
        // Only now: the replay itself is counted already, so those who wait get no more room than is left.
        this.#releaseReserved(pending);
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
