const POSITION = /,"position":"[0-9A-Za-z]{8}\.[0-9]{1,16}"/;

/** The answer to a batch without the position, which every run gives anew. Tests of recovery look at it. */
export function withoutPosition(answer: string): string {
  return answer.replace(POSITION, '');
}

/** What `GET /position` says. */
export async function currentPosition({ url }: { readonly url: string }): Promise<string> {
  const response = await fetch(`${url}/position`);
  return ((await response.json()) as { position: string }).position;
}
