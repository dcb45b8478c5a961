import { ConfigError, loadConfig } from '../../../src/config/config.ts';

/** What is wrong with an environment, as the operator is told. */
export function problems(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
