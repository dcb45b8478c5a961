import { createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import jwt from 'jsonwebtoken';
import { onTestFinished } from 'vitest';
import { SECRET } from './tokens.ts';

/** A request as it came, once its token has been verified. */
export interface Posted {
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: string;
  /** The text of the claims, as it was signed. */
  readonly text: string;
  readonly jti: string | undefined;
  readonly exp: number;
  /** Of the single form it is one. */
  readonly broadcasts: readonly PostedBroadcast[];
  readonly isBatch: boolean;
}

interface PostedBroadcast {
  readonly channels: readonly string[];
  readonly message: unknown;
  readonly history?: boolean;
}

/**
 * What the double does with a request: it delivers and answers, answers something else, or cuts the connection before
 * or after it delivered, or in the middle of its answer.
 */
export type Fate =
  | 'deliver'
  | 'cut before'
  | 'cut after'
  | 'cut answer'
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> };

export interface BroadcastDouble {
  /** Without a slash at the end. */
  readonly url: string;
  /** Every request, refused and cut ones too. */
  readonly posted: Posted[];
  /** Every message that went out, in its order. */
  readonly delivered: { readonly channel: string; readonly message: unknown }[];
  /** The most requests that were there at the same time. */
  readonly peak: number;
}

const LONGEST_CHANNEL = 255;

/** Sockets that would be on a channel: 7 on `user:7`, so that results can be told from each other. */
const subscribers = (channel: string) => Number(/:(\d+)$/.exec(channel)?.[1] ?? 1);

/**
 * A server that answers `POST /broadcast` as the contract says, remembers each `jti`, and fails as it is told to. It
 * throws at once when two requests with a channel in common are there at the same time.
 */
export async function startBroadcastDouble(
  decide: (posted: Posted, n: number) => Fate | Promise<Fate> = () => 'deliver',
): Promise<BroadcastDouble> {
  const double = { url: '', posted: [] as Posted[], delivered: [] as never[], peak: 0 };
  const delivered: { channel: string; message: unknown }[] = double.delivered;
  const answers = new Map<string, string>();
  const present = new Set<Posted>();

  const deliver = ({ broadcasts, jti, isBatch }: Posted): { status: number; body: string } => {
    const known = isBatch && jti !== undefined ? answers.get(jti) : undefined;
    if (known !== undefined)
      return { status: 200, body: `${known.slice(0, -1)},"duplicate":true}` };
    const fault = findFault(broadcasts, isBatch);
    if (fault !== undefined) return { status: 400, body: JSON.stringify({ error: fault }) };

    const results = broadcasts.map(({ channels, message }) => {
      for (const channel of channels) delivered.push({ channel, message });
      return { deliveries: channels.reduce((sum, channel) => sum + subscribers(channel), 0) };
    });
    const deliveries = results.reduce((sum, result) => sum + result.deliveries, 0);
    const body = JSON.stringify({
      message: 'Success',
      deliveries,
      ...(isBatch && { results, position: `q7Kf2wX9.${delivered.length}` }),
    });
    if (isBatch && jti !== undefined) answers.set(jti, body);
    return { status: 200, body };
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const contentType = request.headers['content-type'];
    const posted = parse(request.url ?? '', contentType, Buffer.concat(chunks).toString());
    if (posted === undefined) return reply(response, 400, '{"error":"Bad signature"}');

    double.posted.push(posted);
    present.add(posted);
    double.peak = Math.max(double.peak, present.size);
    assertNoCommonChannel(posted, present);
    const fate = await decide(posted, double.posted.length - 1);
    present.delete(posted);
    if (typeof fate === 'object')
      return reply(response, fate.status, fate.body ?? '', fate.headers);
    if (fate === 'cut before') return response.socket?.destroy();
    const { status, body } = deliver(posted);
    if (fate === 'cut after') return response.socket?.destroy();
    if (fate === 'cut answer') {
      response.writeHead(status, { 'Content-Length': body.length + 1 }).write(body);
      return setImmediate(() => response.socket?.destroy());
    }
    return reply(response, status, body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  double.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return double;
}

function reply(response: ServerResponse, status: number, body: string, headers = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(body);
}

function parse(path: string, contentType: string | undefined, body: string): Posted | undefined {
  const { token } = JSON.parse(body);
  try {
    jwt.verify(token, createSecretKey(SECRET, 'utf8'), { algorithms: ['HS512'] });
  } catch {
    return undefined;
  }
  const text = Buffer.from(token.split('.')[1], 'base64url').toString();
  const { broadcasts, channel, message, history, jti, exp } = JSON.parse(text);
  return {
    path,
    contentType,
    body,
    text,
    jti,
    exp,
    broadcasts: (broadcasts ?? [{ channel, message, history }]).map(toChannels),
    isBatch: broadcasts !== undefined,
  };
}

function toChannels({ channel, ...broadcast }: PostedBroadcast & { readonly channel?: string }) {
  return channel === undefined ? broadcast : { ...broadcast, channels: [channel] };
}

/** The one fault that publishers cannot know of. */
function findFault(broadcasts: readonly PostedBroadcast[], isBatch: boolean): string | undefined {
  const index = broadcasts.findIndex(({ channels }) =>
    channels.some((channel) => channel.length > LONGEST_CHANNEL),
  );
  if (index === -1) return undefined;
  const place = isBatch ? `broadcasts[${index}].` : '';
  return `${place}channel must be at most ${LONGEST_CHANNEL} characters`;
}

/** An attempt that was given up may still be there while the next one, with its `jti`, comes. */
function assertNoCommonChannel(posted: Posted, present: ReadonlySet<Posted>): void {
  const busy = new Set<string>();
  for (const { broadcasts, jti } of present) {
    if (jti === posted.jti) continue;
    for (const { channels } of broadcasts) for (const channel of channels) busy.add(channel);
  }
  for (const { channels } of posted.broadcasts) {
    for (const channel of channels) {
      if (busy.has(channel)) throw new Error(`two requests at the same time have ${channel}`);
    }
  }
}
