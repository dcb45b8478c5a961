// `npm run dev`: the server from its sources, as someone who works on it wants it. The environment wins over both, and
// both win over .env.
process.env.NODE_ENV ||= 'development';
// A restart closes all websockets at once.
process.env.DRAIN_SECONDS ||= '0';
await import('../src/main.ts');
