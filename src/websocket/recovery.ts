import type { Broker } from '../broker/broker.ts';
import type { Recovery, RecoveryRequest } from '../broker/history.ts';
import { encodeFrame, type Frame } from '../hub/frame.ts';
import { type Hub, POSITIONED } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import { disconnects } from '../protocol/close-codes.ts';
import { encodePong, PONG, type SubscribedDetails } from '../protocol/messages.ts';
import type { Connection } from './connection.ts';
import type { ConnectionContext } from './connection-context.ts';

/** How many messages one `authenticate` replays at most. */
const MAX_REPLAYED_MESSAGES = 1_000;

/** Of MAX_BUFFERED_BYTES, the share that the replayed texts of one `authenticate` may have. */
const REPLAY_SHARE = 1 / 2;

const PONG_FRAME = encodeFrame(PONG);

/** The answer to a client's ping. `namesPosition` tells it how far it has come, if the broker knows. */
export function createPong(broker: Broker, namesPosition: boolean): Frame {
  const position = namesPosition ? broker.position() : undefined;
  return position === undefined ? PONG_FRAME : encodeFrame(encodePong(position));
}

/** What to ask the broker for a token of the connection: channels that it is on already are not replayed. */
export function createRequest(
  connection: Connection,
  hub: Hub,
  { channels, since }: { readonly channels: readonly Channel[]; readonly since: string | null },
): RecoveryRequest {
  const further = channels.filter((channel) => !hub.isSubscribed(connection, channel));
  return {
    channels: [...new Set(further)],
    since,
    maxMessages: MAX_REPLAYED_MESSAGES,
    maxBytes: connection.maxBufferedBytes * REPLAY_SHARE,
  };
}

/** What a connection joins, what was asked about it, and the answer. */
export interface Join {
  readonly channels: readonly Channel[];
  readonly request: RecoveryRequest;
  readonly recovery: Recovery;
}

/**
 * Joins a positioned connection to the channels of a token. Three phases in one synchronous step, in the stack in which
 * the broker gives the answer, so that no broadcast comes in between:
 *
 * - confirm: `subscribed` for each channel. The last carries the position that the client has come to: its own one if a
 *   replay follows, now otherwise. A client that is cut off anywhere and comes back with the last position it has
 *   received has lost nothing and gets nothing twice.
 * - replay: what was missed of all channels, in the one order.
 * - live: whatever the hub is handed after this step.
 *
 * Returns whether there is a replay; `onReplayed` is called when it has been written.
 */
export function joinChannels(
  connection: Connection,
  context: ConnectionContext,
  { channels, request, recovery }: Join,
  onReplayed: () => void,
): boolean {
  const { hub, compressor } = context;
  if (!connection.isPositioned) {
    hub.changeKind(connection, connection.kind === undefined ? POSITIONED : compressor.positioned);
  }
  const details = describe(channels, request, recovery);
  for (const [index, channel] of channels.entries()) {
    hub.subscribe(connection, channel, details[index]);
  }
  return replay(connection, context, recovery, onReplayed);
}

/** What each `subscribed` says beside its channel. */
function describe(
  channels: readonly Channel[],
  { channels: asked, since }: RecoveryRequest,
  { position, publications, verdicts }: Recovery,
): SubscribedDetails[] {
  const verdictOf = new Map(asked.map((channel, index) => [channel, verdicts[index]]));
  const details: SubscribedDetails[] = channels.map((channel) => {
    const verdict = verdictOf.get(channel);
    // A repetition within the token gets none.
    verdictOf.delete(channel);
    if (verdict === undefined) return {};
    return typeof verdict === 'number'
      ? { recovered: true, missed: verdict }
      : { recovered: false };
  });
  const last = details.pop();
  if (last === undefined) return details;
  const reached = publications.length > 0 ? (since ?? undefined) : position;
  return [...details, { ...last, position: position === undefined ? undefined : reached }];
}

function replay(
  connection: Connection,
  { hub, metrics, replays }: ConnectionContext,
  { publications, verdicts }: Recovery,
  onReplayed: () => void,
): boolean {
  metrics?.recovered(verdicts);
  if (publications.length === 0) return false;
  const frames = publications.map((publication) => replays.frameOf(publication));
  const bytes = frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
  const release = replays.add(bytes, () => connection.end(disconnects.tooSlow));
  const onWritten = () => {
    release();
    onReplayed();
  };
  if (connection.replay(frames, onWritten)) {
    hub.countReplayed(frames.length);
    return true;
  }
  release();
  return false;
}
