import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';

/** Asks the same again and again, at fixed times, whether the last answer has come or not. */
export class Asker {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #timer: NodeJS.Timeout;
  readonly #answers: Promise<number>[] = [];

  /** Begins at once. */
  constructor(url: string, everyMs: number) {
    this.#url = url;
    this.#timer = setInterval(() => {
      const answer = this.#ask();
      // It is awaited in `stop`; until then its failure must not end the process.
      answer.catch(() => {});
      this.#answers.push(answer);
    }, everyMs);
  }

  /** Stops; resolves to how long each answer took, in milliseconds, sorted. Rejects unless every one was a 200. */
  async stop(): Promise<readonly number[]> {
    clearInterval(this.#timer);
    const times = await Promise.all(this.#answers);
    this.#agent.destroy();
    return times.toSorted((a, b) => a - b);
  }

  async #ask(): Promise<number> {
    const start = performance.now();
    const request = get(this.#url, { agent: this.#agent });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    if (response.statusCode !== 200)
      throw new Error(`${this.#url} answered ${response.statusCode}`);
    return performance.now() - start;
  }
}
