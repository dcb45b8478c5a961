import type { Parsed } from './json.ts';

/** A channel name that has been checked; only `parseChannel` makes one. */
export type Channel = string & { readonly channel: unique symbol };

export type ChannelFault = 'type' | 'length' | 'unicode';

/** Checks a channel name: any well-formed string, the empty one too, up to `maxLength` UTF-16 units. */
export function parseChannel(value: unknown, maxLength: number): Parsed<Channel, ChannelFault> {
  if (typeof value !== 'string') return { ok: false, reason: 'type' };
  if (value.length > maxLength) return { ok: false, reason: 'length' };
  // In UTF-8 every lone surrogate becomes U+FFFD, so two different names would be one.
  if (!value.isWellFormed()) return { ok: false, reason: 'unicode' };
  return { ok: true, value: value as Channel };
}

export function channelFaultText(fault: ChannelFault, maxLength: number): string {
  switch (fault) {
    case 'type':
      return 'channel must be a string';
    case 'length':
      return `channel must be at most ${maxLength} characters`;
    case 'unicode':
      return 'channel must be well-formed Unicode';
  }
}
