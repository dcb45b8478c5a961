import type { Reply } from './reply.ts';

/** A refusal with the status and the text that the client reads. Endpoints throw it, the router writes it. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }

  toReply(): Reply {
    return {
      status: this.status,
      contentType: 'application/json',
      body: JSON.stringify({ error: this.message }),
      headers: this.headers,
    };
  }
}
