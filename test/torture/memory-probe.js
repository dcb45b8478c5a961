// Loaded into the server under attack with `node --import`: tells its memory after a full collection, when asked.
import cluster from 'node:cluster';

// Workers have another parent, whose messages are not questions.
if (cluster.isPrimary) {
  process.on('message', () => {
    // What the first one finalises, the second one frees.
    globalThis.gc();
    setImmediate(() => {
      globalThis.gc();
      process.send(process.memoryUsage());
    });
  });
  // The server must not stay for its parent, nor outlive it.
  process.channel.unref();
  process.on('disconnect', () => process.exit());
}
