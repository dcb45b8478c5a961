import { BifrostError } from '../../publisher/index.ts';
import { failureText } from '../one-line.ts';

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
  return `${url}/broadcast answered ${status}${why}${doubt}`;
}
