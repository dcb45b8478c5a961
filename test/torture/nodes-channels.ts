/** How many clients subscribe. */
export const CLIENTS = 3_000;
/** The channel of all clients. */
export const EVERYONE = 'everyone';
export const GROUPS = 10;

/** The channel of a tenth of the clients. */
export function group(index: number): string {
  return `group:${index}`;
}

export function channelsOf(client: number): readonly string[] {
  return [EVERYONE, group(client % GROUPS)];
}

/** How many clients subscribe to the channel. */
export function subscribersOf(channel: string): number {
  return channel === EVERYONE ? CLIENTS : CLIENTS / GROUPS;
}
