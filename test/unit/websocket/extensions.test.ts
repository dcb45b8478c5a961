import { afterEach, describe, expect, it, vi } from 'vitest';
import { acceptableOffer } from '../../../src/websocket/extensions.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('acceptableOffer', () => {
  it('is undefined when nothing is offered', () => {
    expect(acceptableOffer(undefined)).toBeUndefined();
  });
});
