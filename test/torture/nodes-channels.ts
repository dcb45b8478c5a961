/** The channel of all clients. */
export const EVERYONE = 'everyone';
export const GROUPS = 10;

/** The channel of a tenth of them. */
export function group(index: number): string {
  return `group:${index}`;
}

export function channelsOf(client: number): readonly string[] {
  return [EVERYONE, group(client % GROUPS)];
}
