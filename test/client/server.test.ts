import { beforeEach, describe, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { BifrostClient } from '../../src/client/index.ts';
import { APP_SCRIPT, App } from '../support/client-app.ts';
import { describeClient } from '../support/client-scenarios.ts';

/** In this process, with the websockets of `ws`. */
const run = new Function('BifrostClient', 'SETTINGS', 'console', 'globalThis', APP_SCRIPT);

describe('with a real server, the client', () => {
  // Delays are short.
  beforeEach(() => {
    vi.spyOn(Math, 'random').mockReturnValue(0.02);
  });

  describeClient(async (settings) => {
    const scope = { commands: { connect() {}, close() {} } };
    const app = new App((name) => scope.commands[name]());
    const console = { log: (line: string) => app.hear(line) };
    run(BifrostClient, { ...settings, WebSocket }, console, scope);
    onTestFinished(() => scope.commands.close());
    return app;
  });
});
