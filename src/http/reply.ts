/** What an endpoint answers. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Further header fields. */
  readonly headers?: Readonly<Record<string, string>>;
}

export function json(body: string): Reply {
  return { status: 200, contentType: 'application/json', body };
}
