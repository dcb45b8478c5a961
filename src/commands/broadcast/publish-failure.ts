import { BifrostError } from '../../publisher/index.ts';
import { failureText } from '../one-line.ts';
import { describeTokenRefusal } from '../token-refusal.ts';

/** What a server, the Crystal original too, says of every token that it does not take. */
const BAD_SIGNATURE = 'Bad signature';

/** Why a call of the publisher failed, in a sentence without a full stop. */
export function publishFailureText(error: unknown, url: string): string {
  if (!(error instanceof BifrostError)) return failureText(error);
  const { code, status, cause, message, mayHaveBeenDelivered } = error;
  if (code === 'INVALID') return message;

  // Commands abort only what cannot have been sent.
  const doubt = mayHaveBeenDelivered && code !== 'ABORTED' ? ' (it may have been delivered)' : '';
  if (status === undefined) {
    const why = cause === undefined ? 'no answer' : failureText(cause);
    return `cannot reach ${url}: ${why}${doubt}`;
  }
  // Without a reason of the server the code stands there.
  const why = message === code ? '' : `: ${message}`;
  const answer = `${url}/broadcast answered ${status}${why}${doubt}`;
  return message === BAD_SIGNATURE ? describeTokenRefusal(answer) : answer;
}
