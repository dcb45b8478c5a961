import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import type { Hub, Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import { parseSubscription } from '../protocol/claims.ts';
import { type Disconnect, disconnects } from '../protocol/close-codes.ts';
import type { Parsed } from '../protocol/json.ts';
import type { AuthenticationFailure } from '../telemetry/metrics.ts';
import { ChannelExpiry } from './channel-expiry.ts';
import { type PendingToken, PendingTokens } from './pending-tokens.ts';
import type { Wheel } from './timer-wheel.ts';

/** What the tokens of all connections are looked at with. */
export interface AuthenticationContext {
  readonly config: Config;
  readonly hub: Hub;
  readonly broker: Broker;
  readonly tokens: TokenVerifier;
  /** Those who are yet to authenticate. */
  readonly deadlines: Wheel<Authentication>;
  /** Those whose tokens expire. It goes by the clock on the wall, as tokens do. */
  readonly expiries: Wheel<Authentication>;
}

/** Whom tokens give channels to. */
export interface Bearer extends Subscriber {
  /** Ends it because of a token, or for want of one. */
  refuse(disconnect: Disconnect, failure: AuthenticationFailure): void;
  end(disconnect: Disconnect): void;
  /** `hasManyPending` may be another than before. */
  pendingChanged(): void;
}

/** How many tokens may wait for the broker before no more is read of the peer. */
const MOST_PENDING_TOKENS = 16;

/** While the broker is away, confirmations may wait for this many times `MAX_CHANNELS_PER_CONNECTION` channels. */
const MOST_CONFIRMATIONS = 4;

/** What the tokens of one connection do for it, from the first to its end. */
export class Authentication {
  /** Whether a valid token has been confirmed. */
  isDone = false;
  readonly #bearer: Bearer;
  readonly #context: AuthenticationContext;
  /** The slot in which the connection ends if no token has been confirmed by then. */
  #deadline: number | undefined;
  /** Undefined without `ENFORCE_TOKEN_EXPIRY`. */
  #expiry: ChannelExpiry | undefined;
  /** Undefined when no token waits for the broker. */
  #pending: PendingTokens | undefined;

  /** Starts the time that the connection has to authenticate. */
  constructor(bearer: Bearer, context: AuthenticationContext) {
    this.#bearer = bearer;
    this.#context = context;
    const { authTimeoutMs } = context.config;
    if (authTimeoutMs > 0) this.#deadline = context.deadlines.set(this, authTimeoutMs);
  }

  /** Whether so many tokens wait for the broker that no more of them should be read. */
  get hasManyPending(): boolean {
    return this.#pending !== undefined && this.#pending.count > MOST_PENDING_TOKENS;
  }

  /** The token of an `authenticate` message; undefined when it had none. */
  present(token: string | undefined): void {
    const { broker, config, hub, tokens } = this.#context;
    const grant = parseGrant(token, tokens, config);
    if (!grant.ok) {
      this.#bearer.refuse(grant.reason.disconnect, grant.reason.failure);
      return;
    }
    const { channels } = grant.value;
    if (this.#isTooMany(channels)) {
      this.#bearer.refuse(disconnects.tooManyChannels, 'limits');
      return;
    }
    if (config.enforceTokenExpiry) this.#extend(grant.value);

    const waiting: PendingToken = { channels, isJoined: false };
    waiting.isJoined = broker.join(this.#bearer, channels, () => {
      waiting.isJoined = true;
      this.#confirmJoined();
    });
    if (waiting.isJoined && this.#pending === undefined) {
      this.#confirm(channels);
      return;
    }
    this.#pending ??= new PendingTokens();
    this.#pending.add(
      waiting,
      channels.filter((channel) => !hub.isSubscribed(this.#bearer, channel)),
    );
    this.#bearer.pendingChanged();
  }

  /** The time to authenticate is up. */
  timeOut(): void {
    this.#bearer.refuse(disconnects.authenticationTimeout, 'timeout');
  }

  /** The time of a token is up. */
  expire(): void {
    this.#bearer.end(disconnects.tokenExpired);
  }

  /** The connection takes no more tokens, and those that wait are dropped. Safe to call twice. */
  stop(): void {
    this.#clearDeadline();
    this.#clearExpiry();
    this.#pending = undefined;
    this.#context.broker.leave(this.#bearer);
  }

  /** Confirms what waited for the broker, as far as it is there: tokens are confirmed in their order. */
  #confirmJoined(): void {
    const pending = this.#pending;
    for (let token = pending?.takeJoined(); token; token = pending?.takeJoined()) {
      this.#confirm(token.channels);
    }
    if (pending?.count === 0) this.#pending = undefined;
    this.#bearer.pendingChanged();
  }

  /** In the moment in which broadcasts of all these channels arrive here. */
  #confirm(channels: readonly Channel[]): void {
    this.isDone = true;
    this.#clearDeadline();
    for (const channel of channels) this.#context.hub.subscribe(this.#bearer, channel);
  }

  #isTooMany(channels: readonly Channel[]): boolean {
    const { hub, config } = this.#context;
    const most = config.maxChannelsPerConnection;
    const pending = this.#pending;
    if (pending === undefined) return hub.countWith(this.#bearer, channels) > most;

    // Confirmations that wait for the broker are kept.
    if (pending.confirmations > MOST_CONFIRMATIONS * most) return true;
    const further = channels.filter((channel) => !pending.channels.has(channel));
    return pending.channels.size + hub.countWith(this.#bearer, further) > most;
  }

  /** Counts from the moment in which a token comes: one that comes in time may have to wait for the broker. */
  #extend({ channels, expiresAt }: Grant): void {
    this.#expiry ??= new ChannelExpiry();
    this.#expiry.grant(channels, expiresAt);
    this.#clearExpiry();
    const { deadline } = this.#expiry;
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.#expiry.slot = this.#context.expiries.set(this, deadline - Date.now());
  }

  #clearDeadline(): void {
    if (this.#deadline === undefined) return;
    this.#context.deadlines.clear(this, this.#deadline);
    this.#deadline = undefined;
  }

  #clearExpiry(): void {
    if (this.#expiry?.slot === undefined) return;
    this.#context.expiries.clear(this, this.#expiry.slot);
    this.#expiry.slot = undefined;
  }
}

/** What a good token asks for. */
interface Grant {
  readonly channels: readonly Channel[];
  /** Its `exp` in milliseconds since 1970, infinity when it has none. */
  readonly expiresAt: number;
}

/** Why the connection ends instead, in its close frame and in the metrics. */
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
