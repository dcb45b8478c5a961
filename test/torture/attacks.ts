import type { Attack } from './attack.ts';
import { hostileBatches } from './batches.ts';
import { malformedBroadcasts } from './broadcasts.ts';
import { brokenFrames } from './broken-frames.ts';
import { greedyTokens, strangeNames } from './channels.ts';
import { churn } from './churn.ts';
import { oddButLegal, pingsInChunks, pingsUnread, tinyFragments } from './frames.ts';
import { fuzzedFrames, fuzzedHttp } from './fuzz.ts';
import { malformedHttp, oversizedBodies, oversizedHeaders, slowHttp } from './http-requests.ts';
import { idleConnections } from './idle-connections.ts';
import { distinctJtis } from './jtis.ts';
import { ignoredMessages, malformedMessages } from './messages.ts';
import { finishedBodies, tinyChunks, unfinishedBodies } from './request-bodies.ts';
import { resets } from './resets.ts';
import { slowReadersClosed, unreadConfirmations } from './slow-readers.ts';
import { forgedTokens } from './tokens.ts';
import { refusedUpgrades, upgradeFlood } from './upgrades.ts';

/** Runs beside all others, from the beginning of a round to its end. */
export const SLOW_HTTP = 'slow and half-open HTTP';
/** Needs the control group, which publishes the messages that these do not read. */
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
  'hostile batches': hostileBatches,
  'distinct jtis': distinctJtis,
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
  [SLOW_READERS]: slowReadersClosed,
  'unread confirmations': unreadConfirmations,
  resets,
  churn,
  'fuzzed frames': fuzzedFrames,
  'fuzzed HTTP': fuzzedHttp,
};
