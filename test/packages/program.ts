/** What an app does, and what may happen to it. Prints what came of it as JSON. */
export const PROGRAM = `
import { BifrostPublisher } from 'bifrost-client/publisher';

const { BIFROST_URL: url, NOBODY_URL: nobody, JWT_SECRET: secret } = process.env;
const bifrost = new BifrostPublisher({ url, secret });
const said = {};

const users = Array.from({ length: 1_000 }, (_, n) => n + 1);
const results = await Promise.all(users.map((n) => bifrost.publish(\`user:\${n}\`, { n, text: 'ä€🌈' })));
said.all = results.reduce((sum, { deliveries }) => sum + deliveries, 0);

for (const channel of ['cut before', 'cut after', 'cut answer']) {
  said[channel] = (await bifrost.publish(channel, '{"id":9007199254740993}')).deliveries;
}

const errorOf = ({ code, status, mayHaveBeenDelivered }) => ({ code, status, mayHaveBeenDelivered });
said.redirect = await bifrost.publish('redirect', {}).catch(errorOf);

// Nobody listens there. Without batches it is tried again only if it is known that nothing can have arrived.
const { fetch } = globalThis;
for (const [name, url] of [['nobody', nobody], ['nowhere', 'http://nowhere.invalid']]) {
  const single = new BifrostPublisher({ url, secret, batch: false });
  const controller = new AbortController();
  let attempts = 0;
  globalThis.fetch = (...args) => {
    attempts += 1;
    if (attempts === 2) controller.abort();
    return fetch(...args);
  };
  const { code } = await single.publish('a', {}, controller).catch(errorOf);
  said[name] = { code, attempts };
}
console.log(JSON.stringify(said));
`;
