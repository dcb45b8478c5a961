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

const change = (state: State, changes: Partial<State>, ...effects: Effect[]): Reduction => ({
  state: { ...state, ...changes },
  effects,
});

const isLive = ({ step }: State): boolean => step === 'subscribing' || step === 'connected';

const isAtRest = ({ step }: State): boolean => step === 'idle' || step === 'closed';

const open = (state: State, now: number): Reduction =>
  change(
    state,
    { step: 'opening', error: undefined, dueAt: now + DEADLINE_MS, restarted: false },
    'open',
  );

const stop = (state: State, step: Step, error?: Error, ...effects: Effect[]): Reduction =>
  change(state, { step, error, dueAt: undefined, probing: false }, 'drop', ...effects);

const probe = (state: State, now: number, restarted = false): Reduction =>
  change(state, { probing: true, restarted, dueAt: now + DEADLINE_MS }, 'ping');

/** The connection has ended, or is given up: waits for the next attempt, unless that would end in the same way. */
const end = (state: State, code: number, error: Error, now: number, random: number): Reduction => {
  if (isFinal(code) || (code === NOT_AUTHORIZED && state.refused)) {
    return stop(state, 'closed', error);
  }
  const hasHeld = state.step === 'connected' && now - state.subscribedAt >= HOLD_MS;
  const failures = hasHeld ? 0 : state.failures;
  let { slowAt } = state;
  const effects: Effect[] = ['drop'];
  if (code === TOO_SLOW) {
    slowAt = [...slowAt, now].slice(-3);
    // What is missed would be too much again.
    if (slowAt.length === 3 && now - (slowAt[0] as number) < MINUTE_MS) {
      slowAt = [];
      effects.push('forget');
    }
  }
  const waiting = {
    step: 'waiting',
    error,
    dueAt: now + reconnectDelay(code, failures, random),
    failures: failures + Number(code !== SHUTTING_DOWN),
    refused: state.refused || code === NOT_AUTHORIZED,
    slowAt,
    probing: false,
  } as const;
  return change(state, waiting, ...effects);
};

/** The one timer is due, whatever it was set for. */
const onTimer = (state: State, now: number, random: number): Reduction => {
  const { step, movedAt, dueAt } = state;
  if (step === 'waiting') return open(state, now);
  if (step === 'hidden' || isAtRest(state)) return change(state, {});
  if (isLive(state) && !state.probing) {
    const silentAt = movedAt + SILENCE_MS;
    const isQuiet = state.confirming || now >= silentAt;
    return isQuiet ? probe(state, now) : change(state, { dueAt: silentAt });
  }
  const isLate = now - (dueAt as number) > LATE_MS;
  if (!isLate || state.restarted) {
    const what = step === 'authorizing' ? 'token' : 'answer';
    return end(state, CUT, new Error(`No ${what} in time`), now, random);
  }
  return isLive(state)
    ? probe(state, now, true)
    : change(state, { restarted: true, dueAt: now + DEADLINE_MS });
};

/** What comes of an event. `now` is in milliseconds since 1970, `random` from 0 up to 1. */
export const reduce = (
  state: State,
  event: ClientEvent,
  now: number,
  random: number,
): Reduction => {
  const { step } = state;
  const isAway = step === 'waiting' || step === 'hidden';
  switch (event.type) {
    case 'connect':
      if (isAtRest(state)) return open(INITIAL, now);
      return isAway ? open(state, now) : change(state, {});
    case 'close':
      return stop(state, 'closed');
    case 'hide':
      return isAtRest(state) ? change(state, {}) : stop(state, 'hidden');
    case 'probe':
      if (isAway) return open(state, now);
      return isLive(state) && !state.probing ? probe(state, now) : change(state, {});
    case 'timer':
      return onTimer(state, now, random);
    case 'opened': {
      const dueAt = now + DEADLINE_MS;
      return change(state, { step: 'authorizing', dueAt, restarted: false }, 'askToken');
    }
    case 'tokens': {
      if (event.none) return stop(state, 'closed', undefined, 'leave');
      const dueAt = now + SILENCE_MS;
      return change(state, { step: 'subscribing', movedAt: now, dueAt }, 'authenticate');
    }
    case 'heard':
      return change(state, {
        movedAt: event.moved ? now : state.movedAt,
        confirming: false,
        probing: false,
        dueAt: state.probing ? now + SILENCE_MS : state.dueAt,
      });
    case 'subscribed':
      return change(state, {
        step: 'connected',
        refused: false,
        subscribedAt: step === 'connected' ? state.subscribedAt : now,
        confirming: !event.isLast,
        dueAt: now + (event.isLast ? SILENCE_MS : CONFIRMATIONS_MS),
      });
    case 'failed':
      return event.final
        ? stop(state, 'closed', event.error as Error)
        : end(state, CUT, event.error as Error, now, random);
    case 'ended': {
      const { code, reason } = event;
      const error = new Error(`Closed with ${code} ${reason}`.trimEnd());
      return end(state, code, Object.assign(error, { code }), now, random);
    }
  }
};
