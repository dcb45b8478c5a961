import { once } from 'node:events';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Log } from '../../src/telemetry/log.ts';

export interface RecordingLog {
  readonly lines: Record<string, unknown>[];
  readonly log: Log;
  /** Resolves to the first line with this message, once there is one. */
  logged(message: string): Promise<Record<string, unknown>>;
}

/** A log that keeps its lines. */
export function recordingLog(level: string): RecordingLog {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()));
      stream.emit('line');
      done();
    },
  });
  return {
    lines,
    log: pino({ level, base: null, timestamp: false }, stream),
    async logged(message) {
      for (;;) {
        const line = lines.find(({ msg }) => msg === message);
        if (line !== undefined) return line;
        await once(stream, 'line');
      }
    },
  };
}
