import type { TestClient } from './client.ts';
import { withoutPosition } from './positions.ts';
import type { TestServer } from './server.ts';
import { sign, signText } from './tokens.ts';

/** Posts claims, given as their text or as a value. Resolves to the status, and the body without its position. */
export async function publish({ post }: TestServer, claims: unknown): Promise<[number, string]> {
  const token = typeof claims === 'string' ? signText(claims) : sign(claims);
  const response = await post(JSON.stringify({ token }));
  return [response.status, withoutPosition(await response.text())];
}

/** Resolves to what a client has received by now. */
export async function received(client: TestClient): Promise<string[]> {
  client.send({ event: 'ping' });
  const texts: string[] = [];
  for (;;) {
    const text = await client.nextText();
    if (text === '{"event":"pong"}') return texts;
    texts.push(text);
  }
}
