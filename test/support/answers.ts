/** What the tests look at of an answer. */
export async function answer(response: Response) {
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    length: response.headers.get('content-length'),
    body: await response.text(),
  };
}

/** What an answer with a body of JSON looks like then. */
export function json(status: number, body: string) {
  return { status, type: 'application/json', length: String(Buffer.byteLength(body)), body };
}
