import { describe, expect, it } from 'vitest';
import { isProduction } from '../../../src/config/node-env.ts';

describe('isProduction', () => {
  it.each(['production', 'Production', 'prod', 'staging', ' development', 'Test'])(
    'takes NODE_ENV=%s for production',
    (nodeEnv) => {
      expect(isProduction(nodeEnv)).toBe(true);
    },
  );

  it.each(['development', 'test', '', undefined])('does not take NODE_ENV=%s for it', (nodeEnv) => {
    expect(isProduction(nodeEnv)).toBe(false);
  });
});
