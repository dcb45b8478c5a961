import { defaultText } from '../../config/config.ts';
import type { Environment } from '../../config/environment.ts';
import { settingRows, variableNames } from '../../config/settings.ts';
import { toLine } from '../one-line.ts';

const NAME_WIDTH = Math.max(...variableNames.map((name) => name.length));
const SOURCE_WIDTH = 'environment'.length;

/**
 * A line for each variable: its name, where its value comes from, and the value that counts. Secrets are masked.
 * Only for an environment that `loadConfig` has taken.
 */
export function settingLines({ variables, fromDotenv }: Environment): string[] {
  const set = Object.fromEntries(Object.entries(variables).filter(([, text]) => text !== ''));
  return variableNames.map((name) => {
    const source = set[name] === undefined ? 'default' : sourceOf(name, fromDotenv);
    return `${name.padEnd(NAME_WIDTH)}  ${source.padEnd(SOURCE_WIDTH)}  ${shownValue(name, set)}`;
  });
}

function sourceOf(name: string, fromDotenv: readonly string[]): string {
  return fromDotenv.includes(name) ? '.env' : 'environment';
}

function shownValue(name: string, set: Readonly<Record<string, string>>): string {
  const row = settingRows.find(([, { variable }]) => variable === name)?.[1];
  const text = set[name] ?? (row && defaultText(row, set));
  if (text === undefined) return '(not set)';
  const masked = row?.mask?.(text);
  if (masked !== undefined) return masked;
  // White space at an end is seen only in quotes.
  return /^[!-~]+( [!-~]+)*$/.test(text) ? text : toLine(JSON.stringify(text));
}
