import { Agent, request } from 'node:http';
import { sign } from '../support/tokens.ts';

export interface Published {
  readonly status: number;
  readonly deliveries: number;
  readonly body: string;
}

/** Signs and posts broadcasts as an app server does, over kept connections. */
export class Publisher {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.#port = port;
  }

  /** Resolves to the answer; rejects when there is none. `text` is the JSON text of an object. */
  publish(channel: string, text: string): Promise<Published> {
    const body = JSON.stringify({ token: sign({ channel, message: text }) });
    return new Promise((resolve, reject) => {
      const posting = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          path: '/broadcast',
          method: 'POST',
          agent: this.#agent,
          headers: {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(body),
          },
        },
        (response) => {
          let answer = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            answer += chunk;
          });
          response.on('error', reject);
          response.on('end', () => {
            const deliveries = Number(/"deliveries":(\d+)/.exec(answer)?.[1] ?? 0);
            resolve({ status: response.statusCode ?? 0, deliveries, body: answer });
          });
        },
      );
      posting.on('error', reject);
      posting.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
