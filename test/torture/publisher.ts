import { Agent, request } from 'node:http';
import { sign } from '../support/tokens.ts';

const DEFAULT_TIMEOUT_MS = 60_000;

export interface PublishReply {
  readonly status: number;
  readonly body: string;
}

/** The number of deliveries that a reply tells, 0 for a refusal. */
export function deliveriesIn({ body }: PublishReply): number {
  return Number(/"deliveries":(\d+)/.exec(body)?.[1] ?? 0);
}

/** Signs and posts broadcasts as an app server does, over keep-alive connections. */
export class Publisher {
  readonly #port: number;
  readonly #timeoutMs: number;
  readonly #agent = new Agent({ keepAlive: true });

  /** `timeoutMs` is for how long a connection may be silent while it waits for a reply. */
  constructor(port: number, timeoutMs = DEFAULT_TIMEOUT_MS) {
    this.#port = port;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects when there is no reply. `text` is the JSON text of an object. */
  publish(channel: string, text: string): Promise<PublishReply> {
    return this.post(JSON.stringify({ token: sign({ channel, message: text }) }));
  }

  /** Posts a body to `/broadcast`. Rejects when there is no reply. */
  post(body: string): Promise<PublishReply> {
    return new Promise((resolve, reject) => {
      const posting = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          path: '/broadcast',
          method: 'POST',
          agent: this.#agent,
          timeout: this.#timeoutMs,
          headers: {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(body),
          },
        },
        (response) => {
          let replyBody = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            replyBody += chunk;
          });
          response.on('error', reject);
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: replyBody }));
        },
      );
      posting.on('timeout', () => posting.destroy(new Error('No reply')));
      posting.on('error', reject);
      posting.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
