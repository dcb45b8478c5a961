import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClientEvent, INITIAL, reduce, type State } from '../../src/client/reducer.ts';
import { Random } from '../support/random.ts';

const CODES = [1000, 1001, 1002, 1005, 1006, 1011, 1013, 4400, 4401, 4408, 4413, 4429, 4999];

/** What may happen to a client, and how many milliseconds pass before it does. */
type Happening = readonly [happening: string, ms: number];

const happenings: fc.Arbitrary<Happening> = fc.tuple(
  fc.oneof(
    fc.constantFrom('connect', 'close', 'probe', 'hide', 'timer', 'open', 'token', 'nobody'),
    fc.constantFrom('no token', 'no socket', 'frame', 'confirm', 'confirm last'),
    fc.constantFrom(...CODES.map(String)),
  ),
  fc.constantFrom(0, 1, 999, 10_000, 25_000, 3_600_000),
);

/**
 * What surrounds the reducer: a socket, a token callback and a timer. It lets happen only what can happen to those that
 * are there, and throws when the reducer asks for what must not be.
 */
class World {
  state: State = INITIAL;
  now = 1_800_000_000_000;
  socket = 'none';
  isAsking = false;
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  apply([happening, ms]: Happening): void {
    this.now += ms;
    if (happening === 'timer') this.fireTimer();
    else for (const event of this.#eventsOf(happening)) this.dispatch(event);
  }

  /** None for what cannot happen now. */
  #eventsOf(happening: string): ClientEvent[] {
    switch (happening) {
      case 'connect':
      case 'close':
      case 'probe':
      case 'hide':
        return [{ type: happening }];
      case 'open':
        if (this.socket !== 'connecting') return [];
        this.socket = 'open';
        return [{ type: 'opened' }];
      case 'no socket':
        if (this.socket !== 'connecting') return [];
        return [{ type: 'failed', error: new Error(happening), final: true }];
      case 'token':
      case 'nobody':
      case 'no token':
        if (!this.isAsking) return [];
        this.isAsking = false;
        if (happening === 'no token') return [{ type: 'failed', error: new Error(happening) }];
        return [{ type: 'tokens', none: happening === 'nobody' }];
      case 'frame':
      case 'confirm':
      case 'confirm last':
        if (this.socket !== 'open' || this.isAsking) return [];
        if (happening === 'frame') return [{ type: 'heard', moved: true }];
        return [
          { type: 'heard', moved: happening === 'confirm last' },
          { type: 'subscribed', isLast: happening === 'confirm last' },
        ];
      default:
        // The code that the server closes with.
        return this.socket === 'none'
          ? []
          : [{ type: 'ended', code: Number(happening), reason: '' }];
    }
  }

  fireTimer(): void {
    if (this.state.dueAt === undefined) return;
    this.now = Math.max(this.now, this.state.dueAt);
    this.dispatch({ type: 'timer' });
  }

  dispatch(event: ClientEvent): void {
    const { state, effects } = reduce(this.state, event, this.now, this.#random.fraction());
    this.state = state;
    for (const effect of effects) {
      switch (effect) {
        case 'open':
          if (this.socket !== 'none') throw new Error('a second socket');
          this.socket = 'connecting';
          break;
        case 'askToken':
          if (this.isAsking) throw new Error('asked twice');
          this.isAsking = true;
          break;
        case 'authenticate':
        case 'ping':
          if (this.socket !== 'open') throw new Error(`${effect} without an open socket`);
          break;
        case 'drop':
          this.socket = 'none';
          this.isAsking = false;
          break;
      }
    }
    this.check();
  }

  check(): void {
    const { step, dueAt, error } = this.state;
    const isAtRest = ['idle', 'closed', 'hidden'].includes(step);
    // Whatever is going on has an end; where nothing is, nothing is left.
    expect([step, dueAt === undefined]).toEqual([step, isAtRest]);
    const hasSocket = ['opening', 'authorizing', 'subscribing', 'connected'].includes(step);
    expect([step, this.socket !== 'none']).toEqual([step, hasSocket]);
    expect([step, this.isAsking]).toEqual([step, step === 'authorizing']);
    if (error !== undefined) expect(['waiting', 'closed']).toContain(step);
  }

  /** The network is good, and so are the tokens; pages that were put away are shown. */
  recover(): void {
    if (this.state.step === 'hidden') this.dispatch({ type: 'probe' });
    for (let turn = 0; turn < 10 && this.state.step !== 'connected'; turn += 1) {
      if (this.state.step === 'closed' || this.state.step === 'idle') return;
      if (this.state.step === 'waiting') this.fireTimer();
      for (const what of ['open', 'token', 'confirm last']) this.apply([what, 10]);
    }
  }
}

describe('the reducer', () => {
  it('has one socket at most, no timer where it rests, and a way out of every state', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 60 }), fc.integer(), (story, seed) => {
        const world = new World(seed);
        for (const happening of story) world.apply(happening);
        const wasIdle = world.state.step === 'idle';
        world.recover();
        expect(['connected', 'closed', ...(wasIdle ? ['idle'] : [])]).toContain(world.state.step);
        world.dispatch({ type: 'close' });
        expect([world.socket, world.state.dueAt]).toEqual(['none', undefined]);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['idle', 'closed'] as const)('leaves a client that is %s alone', (step) => {
    const state = { ...INITIAL, step };
    for (const type of ['hide', 'probe', 'timer'] as const) {
      expect(reduce(state, { type }, 1, 0)).toEqual({ state, effects: [] });
    }
  });

  it('notices a server that says nothing any more within 40 seconds, whatever was before', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 40 }), fc.integer(), (story, seed) => {
        const world = new World(seed);
        for (const happening of story) world.apply(happening);
        if (world.socket === 'none') return;
        const frozenAt = world.now;
        // Its timer is on time from now on.
        if ((world.state.dueAt ?? 0) < world.now) world.fireTimer();
        while (world.socket !== 'none') world.fireTimer();
        expect(world.now - frozenAt).toBeLessThanOrEqual(40_000);
      }),
      { numRuns: 500 },
    );
  });
});
