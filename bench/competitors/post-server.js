// The http server of the competitors on Node.
import { createServer } from 'node:http';

function reply(response, status, body) {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}

/** Answers a POST to each of the paths with the deliveries that its function returns for the body. */
export function createPostServer(routes) {
  const handlers = new Map(Object.entries(routes));
  return createServer((request, response) => {
    const deliver = handlers.get(request.url);
    if (request.method !== 'POST' || deliver === undefined) {
      reply(response, 404, { error: 'Not found' });
      return;
    }
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      try {
        reply(response, 200, { message: 'Success', deliveries: deliver(body) });
      } catch {
        reply(response, 400, { error: 'Bad signature' });
      }
    });
  });
}
