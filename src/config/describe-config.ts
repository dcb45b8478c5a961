import type { Config } from './config.ts';
import { type Settings, settingRows } from './settings.ts';

/** The effective settings without their secrets, as plain data for the log. */
export function describeConfig({ tls, ...rest }: Config): Readonly<Record<string, unknown>> {
  const values: Settings = { ...rest, tlsCertFile: tls?.certFile, tlsKeyFile: tls?.keyFile };
  const byKey: Readonly<Record<string, unknown>> = values;
  const shown = settingRows.map(([key, row]) => row.show?.(byKey[key]) ?? { [key]: byKey[key] });
  return Object.assign({}, ...shown);
}
