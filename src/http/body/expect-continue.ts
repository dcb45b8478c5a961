import type { IncomingMessage, ServerResponse } from 'node:http';

/** The requests whose clients wait for `100 Continue` before they send the body; each with its response. */
const awaiting = new WeakMap<IncomingMessage, ServerResponse>();

/** Notes that the client asked whether its body is wanted (RFC 9110 §10.1.1). */
export function noteExpectContinue(request: IncomingMessage, response: ServerResponse): void {
  awaiting.set(request, response);
}

/** True if the client waits for `100 Continue` and has not got it. */
export function isAwaitingContinue(request: IncomingMessage): boolean {
  return awaiting.has(request);
}

/** Sends `100 Continue` to a client that waits for it. To be called once the body is going to be read. */
export function sendContinue(request: IncomingMessage): void {
  const response = awaiting.get(request);
  if (response === undefined) return;
  awaiting.delete(request);
  response.writeContinue();
}
