import { once } from 'node:events';
import { request } from 'node:http';

/**
 * Posts the same broadcast `count` times, each as soon as the one before has been sent, without waiting for answers.
 * Resolves to the different answers, when the last has come.
 */
export async function flood(port: number, body: string, count: number): Promise<Set<string>> {
  const answers: Promise<string>[] = [];
  for (let n = 0; n < count; n += 1) {
    const posting = request({
      port,
      host: '127.0.0.1',
      path: '/broadcast',
      method: 'POST',
      agent: false,
      headers: { 'Content-Length': Buffer.byteLength(body) },
    });
    answers.push(
      once(posting, 'response').then(async ([response]) => {
        const chunks: Buffer[] = await response.toArray();
        return `${response.statusCode} ${Buffer.concat(chunks)}`;
      }),
    );
    const sent = once(posting, 'finish');
    posting.end(body);
    await sent;
  }
  return new Set(await Promise.all(answers));
}
