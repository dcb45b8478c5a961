import {
  CUT,
  isFinal,
  NOT_AUTHORIZED,
  reconnectDelay,
  SHUTTING_DOWN,
  TOO_SLOW,
} from './reconnect.ts';

/**
 * The life of a client:
 *
 *           connect            opened               tokens               subscribed
 *     idle ─────────▶ opening ────────▶ authorizing ────────▶ subscribing ──────────▶ connected
 *                     ▲    ▲ │              │ │                    │                      │
 *      connect, timer,│    │ └──────────────┼─┴────────────────────┴──────────────────────┤
 *               probe │    │                │ null                 ended, failed, timer   │
 *                     │    │ connect        ▼                                             │
 *                     │    └───────────── closed ◀────────────────────────────────────────┤ final
 *                     │                                                                   ▼
 *                     └────────────────────────────────────────────────────────────── waiting
 *
 * `close` leads from everywhere to `closed`; `hide` from wherever there is something to stop to `hidden`, and `probe`
 * from there to `opening`. A socket exists from `opening` to `connected`, and nowhere else.
 */
export type Step =
  | 'idle'
  | 'opening'
  | 'authorizing'
  | 'subscribing'
  | 'connected'
  | 'waiting'
  | 'hidden'
  | 'closed';

export interface State {
  readonly step: Step;
  /** Why the client waits or is closed; undefined when the app wanted it so. */
  readonly error: Error | undefined;
  /** When the one timer is due, in milliseconds since 1970; undefined for none. */
  readonly dueAt: number | undefined;
  /** Connections that failed since one of them held. */
  readonly failures: number;
  /** True from a refused token until a token is accepted. */
  readonly refused: boolean;
  /** When the server last closed with 4429; the newest three. */
  readonly slowAt: readonly number[];
  /** When the first channel of this connection was confirmed. */
  readonly subscribedAt: number;
  /** When a position last came from the server. */
  readonly movedAt: number;
  /** True if the last frame was a confirmation, and others may follow. */
  readonly confirming: boolean;
  /** True while a ping is not answered. */
  readonly probing: boolean;
  /** True if the deadline that runs has been restarted once, because the timer fired late. */
  readonly restarted: boolean;
}

export type ClientEvent =
  /** What the app does. */
  | { readonly type: 'connect' | 'close' }
  /** What the page goes through: it is shown or online again, or it is hidden for good or put into the cache. */
  | { readonly type: 'probe' | 'hide' }
  | { readonly type: 'timer' | 'opened' }
  /** The token callback gave tokens, or null when nobody is logged in. */
  | { readonly type: 'tokens'; readonly none: boolean }
  /** The token callback failed, or, `final`, the socket cannot be made. */
  | { readonly type: 'failed'; readonly error: unknown; readonly final?: boolean }
  /** A frame came; `moved` if it has a position. */
  | { readonly type: 'heard'; readonly moved: boolean }
  /** A channel was confirmed; `isLast` if the frame says that it is the last of its token. */
  | { readonly type: 'subscribed'; readonly isLast: boolean }
  | { readonly type: 'ended'; readonly code: number; readonly reason: string };

/**
 * What the client has to do. `drop` ends socket and token callback, `forget` gives up the cursor, and `leave` all that is
 * known of the user's channels.
 */
export type Effect = 'open' | 'askToken' | 'authenticate' | 'ping' | 'drop' | 'forget' | 'leave';

export interface Reduction {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** For a handshake, for a token, and for any answer to a ping. */
const DEADLINE_MS = 10_000;
/**
 * Without a position for so long, the client asks whether the server is still there, and where. Messages that the server
 * does not keep have none: a cursor that stood still for as long as the history reaches back would be a gap.
 */
const SILENCE_MS = 25_000;
/** A timer that is this late was kept from running: the page was frozen, and what arrived meanwhile is still to come. */
const LATE_MS = 5_000;
/** A connection that has been subscribed for so long has held. */
const HOLD_MS = 10_000;
/**
 * A server that knows no positions does not say which confirmation is the last. If none has come for so long, a ping is
 * sent: its answer comes behind them all.
 */
const CONFIRMATIONS_MS = 500;
const MINUTE_MS = 60_000;

export const INITIAL: State = {
  step: 'idle',
  error: undefined,
  dueAt: undefined,
  failures: 0,
  refused: false,
  slowAt: [],
  subscribedAt: 0,
  movedAt: 0,
  confirming: false,
  probing: false,
  restarted: false,
};

/** What comes of an event. `now` is in milliseconds since 1970, `random` from 0 up to 1. */
export const reduce = (
  state: State,
  event: ClientEvent,
  now: number,
  random: number,
): Reduction => {
  const { step } = state;
  const isLive = step === 'subscribing' || step === 'connected';
  const hasSocket = isLive || step === 'opening' || step === 'authorizing';

  const to = (changes: Partial<State>, ...effects: Effect[]): Reduction => ({
    state: { ...state, ...changes },
    effects,
  });
  const open = (from: State) =>
    to(
      { ...from, step: 'opening', error: undefined, dueAt: now + DEADLINE_MS, restarted: false },
      'open',
    );
  const stop = (next: Step, error: Error | undefined, ...effects: Effect[]) =>
    to({ step: next, error, dueAt: undefined, probing: false }, 'drop', ...effects);
  const probe = (restarted: boolean) =>
    to({ probing: true, restarted, dueAt: now + DEADLINE_MS }, 'ping');

  const end = (code: number, error: Error): Reduction => {
    if (isFinal(code) || (code === NOT_AUTHORIZED && state.refused)) return stop('closed', error);
    const hasHeld = step === 'connected' && now - state.subscribedAt >= HOLD_MS;
    const failures = hasHeld ? 0 : state.failures;
    let slowAt = state.slowAt;
    const effects: Effect[] = ['drop'];
    if (code === TOO_SLOW) {
      slowAt = [...slowAt, now].slice(-3);
      // What is missed would be too much again.
      if (slowAt.length === 3 && now - (slowAt[0] as number) < MINUTE_MS) {
        slowAt = [];
        effects.push('forget');
      }
    }
    return to(
      {
        step: 'waiting',
        error,
        dueAt: now + reconnectDelay(code, failures, random),
        failures: failures + Number(code !== SHUTTING_DOWN),
        refused: state.refused || code === NOT_AUTHORIZED,
        slowAt,
        probing: false,
      },
      ...effects,
    );
  };

  switch (event.type) {
    case 'connect':
      if (step === 'idle' || step === 'closed') return open(INITIAL);
      return step === 'waiting' || step === 'hidden' ? open(state) : to({});
    case 'close':
      return stop('closed', undefined);
    case 'hide':
      return step === 'idle' || step === 'closed' ? to({}) : stop('hidden', undefined);
    case 'probe':
      if (step === 'waiting' || step === 'hidden') return open(state);
      return isLive && !state.probing ? probe(false) : to({});
    case 'timer': {
      if (step === 'waiting') return open(state);
      if (!hasSocket) return to({});
      if (isLive && !state.probing) {
        const silentAt = state.movedAt + SILENCE_MS;
        return state.confirming || now >= silentAt ? probe(false) : to({ dueAt: silentAt });
      }
      const isLate = now - (state.dueAt as number) > LATE_MS;
      if (!isLate || state.restarted) {
        return end(CUT, new Error(`No ${step === 'authorizing' ? 'token' : 'answer'} in time`));
      }
      return isLive ? probe(true) : to({ restarted: true, dueAt: now + DEADLINE_MS });
    }
    case 'opened':
      return to({ step: 'authorizing', dueAt: now + DEADLINE_MS, restarted: false }, 'askToken');
    case 'tokens':
      if (event.none) return stop('closed', undefined, 'leave');
      return to({ step: 'subscribing', movedAt: now, dueAt: now + SILENCE_MS }, 'authenticate');
    case 'failed':
      return event.final ? stop('closed', event.error as Error) : end(CUT, event.error as Error);
    case 'heard':
      return to({
        movedAt: event.moved ? now : state.movedAt,
        confirming: false,
        probing: false,
        dueAt: state.probing ? now + SILENCE_MS : state.dueAt,
      });
    case 'subscribed':
      return to({
        step: 'connected',
        refused: false,
        subscribedAt: step === 'connected' ? state.subscribedAt : now,
        confirming: !event.isLast,
        dueAt: now + (event.isLast ? SILENCE_MS : CONFIRMATIONS_MS),
      });
    case 'ended':
      return end(
        event.code,
        Object.assign(new Error(`Closed with ${event.code} ${event.reason}`.trimEnd()), {
          code: event.code,
        }),
      );
  }
};
