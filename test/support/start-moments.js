// Preloaded into the program under test: prints the moments of its start, and holds each of them up.
import cluster from 'node:cluster';
import dns from 'node:dns';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

// The first process is not what a test stops for good.
const HOLD_MS = cluster.isWorker ? Number(process.env.HOLD_MS ?? 300) : 300;
const who = cluster.isWorker ? 'worker' : 'first process';

function print(moment) {
  fs.writeSync(1, `moment: ${who} ${process.pid} ${moment}\n`);
}

/** Nothing of this process goes on meanwhile. */
function holdUp(moment) {
  print(moment);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HOLD_MS);
}

const { lookup } = dns;
dns.lookup = (...args) => {
  print('looks up its host');
  setTimeout(() => lookup(...args), HOLD_MS);
};

const { readFileSync } = fs;
fs.readFileSync = (...args) => {
  const content = readFileSync(...args);
  if (args[0] === process.env.TLS_KEY_FILE) holdUp('has read its certificate');
  return content;
};
syncBuiltinESMExports();

/** Holds up the first registration of such a listener. */
function holdUpListening(event, moment) {
  let isFirst = true;
  process.on('newListener', (name) => {
    if (name !== event || !isFirst) return;
    isFirst = false;
    holdUp(moment);
  });
}

if (cluster.isWorker) {
  holdUpListening('message', 'listens for messages');
  holdUp('begins');
} else {
  holdUpListening('SIGTERM', 'listens for SIGTERM');
}
