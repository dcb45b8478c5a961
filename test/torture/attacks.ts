import type { Attack } from './attack.ts';
import { finishedBodies, tinyChunks, unfinishedBodies } from './bodies.ts';
import { churn } from './churn.ts';
import { brokenFrames, oddButLegal, pingsInChunks, pingsUnread, tinyFragments } from './frames.ts';
import { fuzzedFrames, fuzzedHttp } from './fuzz.ts';
import { malformedHttp, oversizedBodies, oversizedHeaders, slowHttp } from './http.ts';
import { idleConnections } from './idle.ts';
import {
  greedyTokens,
  ignoredMessages,
  malformedBroadcasts,
  malformedMessages,
  strangeNames,
} from './messages.ts';
import { resets } from './resets.ts';
import { slowReadersEnded, unreadConfirmations } from './slow.ts';
import { forgedTokens } from './tokens.ts';
import { refusedUpgrades, upgradeFlood } from './upgrades.ts';

/** Runs beside all others, from the beginning of a round to its end. */
export const SLOW_HTTP = 'slow and half-open HTTP';
/** Needs the honest too: they receive the messages that these do not read. */
export const SLOW_READERS = 'slow readers';

/** Every attack by its name, in the order of a round. */
export const attacks: Readonly<Record<string, Attack>> = {
  [SLOW_HTTP]: slowHttp,
  'oversized headers': oversizedHeaders,
  'oversized bodies': oversizedBodies,
  'tiny chunks': tinyChunks,
  'unfinished bodies': unfinishedBodies,
  'finished bodies': finishedBodies,
  'malformed HTTP': malformedHttp,
  'malformed broadcasts': malformedBroadcasts,
  'forged tokens': forgedTokens,
  'refused upgrades': refusedUpgrades,
  'upgrade flood': upgradeFlood,
  'idle connections': idleConnections,
  'broken frames': brokenFrames,
  'tiny fragments': tinyFragments,
  'odd but legal': oddButLegal,
  'pings, read': pingsInChunks,
  'pings, unread': pingsUnread,
  'malformed messages': malformedMessages,
  'ignored messages': ignoredMessages,
  'strange names': strangeNames,
  'greedy tokens': greedyTokens,
  [SLOW_READERS]: slowReadersEnded,
  'unread confirmations': unreadConfirmations,
  resets,
  churn,
  'fuzzed frames': fuzzedFrames,
  'fuzzed HTTP': fuzzedHttp,
};
