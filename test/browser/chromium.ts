import { type Browser, chromium } from 'playwright-core';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { launchOptions } from './launch.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the browser of all test files listens. */
    readonly chromium: string;
  }
}

/** Starts the browser that the test files share, before the first of them. */
export default async function startChromium({ provide }: TestProject) {
  const server = await chromium.launchServer({ ...launchOptions(), host: '127.0.0.1' });
  provide('chromium', server.wsEndpoint());
  return () => server.close();
}

/** The browser that the test files share. Closing it closes only what was opened in it here. */
export function connectChromium(): Promise<Browser> {
  return chromium.connect(inject('chromium'));
}
