import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';

/** Sends the same GET request at fixed times, whether the last one has been answered or not, and notes the latencies. */
export class LatencyProbe {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #timer: NodeJS.Timeout;
  readonly #latenciesMs: Promise<number>[] = [];

  /** Starts at once. */
  constructor(url: string, intervalMs: number) {
    this.#url = url;
    this.#timer = setInterval(() => {
      const latency = this.#request();
      // `stop` awaits it. Until then a rejection must not end the process.
      latency.catch(() => {});
      this.#latenciesMs.push(latency);
    }, intervalMs);
  }

  /** Resolves to all latencies in milliseconds, sorted. Rejects unless every answer was a 200. */
  async stop(): Promise<readonly number[]> {
    clearInterval(this.#timer);
    const latenciesMs = await Promise.all(this.#latenciesMs);
    this.#agent.destroy();
    return latenciesMs.toSorted((a, b) => a - b);
  }

  async #request(): Promise<number> {
    const start = performance.now();
    const request = get(this.#url, { agent: this.#agent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    if (response.statusCode !== 200) {
      throw new Error(`${this.#url} answered ${response.statusCode}`);
    }
    return performance.now() - start;
  }
}
