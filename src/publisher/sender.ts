import type { BifrostErrorCode, BifrostErrorDetails } from './error.ts';
import { ATTEMPT_MS, GIVE_UP_MS, TOKEN_SECONDS } from './limits.ts';
import type { Batch, Call } from './queue.ts';
import { type FetchFailure, neverConnected, retryDelayMs } from './retry.ts';
import type { Sign } from './sign.ts';

/** Rejects a call. Unless the details say otherwise, only one that still waits cannot have been delivered. */
export type Fail = (
  call: Call,
  code: BifrostErrorCode,
  details?: Partial<BifrostErrorDetails>,
  message?: string,
) => void;

/** What the server answers. */
interface Answer {
  readonly message?: string;
  readonly deliveries: number;
  readonly results?: readonly { readonly deliveries: number }[];
  readonly position?: string;
  readonly partial?: true;
  readonly duplicate?: true;
  readonly error?: string;
}

/** Makes what sends a batch in one request, as often as it takes, and settles its calls. It never rejects. */
export const createSender = (
  endpoint: string,
  sign: Sign,
  isBatching: boolean,
  waiting: ReadonlySet<Call>,
  fail: Fail,
) => {
  const send = async (batch: Batch): Promise<void> => {
    let mayHaveBeenDelivered = false;
    // Each attempt sends the same bytes: the server knows a repetition by its jti.
    let body: string | undefined;
    for (;;) {
      let response: Response | undefined;
      let answer: Answer | undefined;
      let cause: unknown;
      try {
        body ??= `{"token":"${await sign(
          isBatching
            ? `"jti":"${crypto.randomUUID()}","broadcasts":[${batch.map((call) => call.text)}]}`
            : (batch[0] as Call).text.slice(1),
          TOKEN_SECONDS,
        )}"}`;
        response = await fetch(endpoint, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body,
          // Following would make a GET of it, and may hand the token to somebody else.
          redirect: 'manual',
          signal: AbortSignal.timeout(ATTEMPT_MS),
        });
        answer = (await response.json()) as Answer;
        if (answer.deliveries >= 0) {
          const { message, duplicate, results = [answer], ...rest } = answer;
          // A repetition whose first answer is not known has no results.
          batch.map((call, n) => call.resolve({ ...rest, deliveries: results[n]?.deliveries }));
          return;
        }
      } catch (error) {
        cause = error;
      }

      const status = response?.status;
      // Of a 200 that comes here only a part arrived, or it is not Bifröst's.
      const isTemporary = [undefined, 200, 502, 503, 504].includes(status);
      // Redirects and refusals deliver nothing. Whatever else failed may have done so after it delivered.
      mayHaveBeenDelivered ||= status
        ? status < 300 || status > 499
        : !neverConnected(cause as FetchFailure);

      const elapsedMs = Date.now() - (batch[0] as Call).at;
      const delayMs = retryDelayMs(elapsedMs, response?.headers.get('Retry-After'), Math.random());
      if (
        isTemporary &&
        (isBatching || !mayHaveBeenDelivered) &&
        elapsedMs + delayMs < GIVE_UP_MS
      ) {
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        if (batch.some((call) => !call.signal?.aborted)) continue;
      }

      // While the server is away, calls must not pile up.
      if (isTemporary) {
        for (const call of waiting) {
          if (call.at <= Date.now() - GIVE_UP_MS) fail(call, 'UNAVAILABLE');
        }
      }
      for (const call of batch) {
        // One broadcast at fault, which the error then names, or a body that is too large, must not fail the others.
        if (batch[1] && (status === 413 || /^broadcasts/.test(answer?.error as string))) {
          if (!call.signal?.aborted) await send([call]);
        } else {
          const details = { cause, status, mayHaveBeenDelivered };
          fail(call, isTemporary ? 'UNAVAILABLE' : 'REFUSED', details, answer?.error);
        }
      }
      return;
    }
  };
  return send;
};
