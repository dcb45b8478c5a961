import type { Locator, Page } from 'playwright-core';

/** The parts of the playground as a person finds them. */
export function partsOf(page: Page) {
  const field = (name: string) => page.getByLabel(name, { exact: true });
  const section = (name: string) => page.getByRole('region', { name, exact: true });
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const entries = page.getByRole('log').getByRole('listitem');
  return {
    channels: field('Channels'),
    token: field('Token'),
    message: field('Message'),
    filter: field('Filter'),
    connection: section('Connect'),
    broadcast: section('Broadcast'),
    list: section('Messages'),
    byHand: page.locator('details', { hasText: 'Mint token' }),
    state: page.locator('.state'),
    subscriptions: page.getByRole('list', { name: 'Subscribed channels' }),
    log: page.getByRole('log'),
    entries,
    button,
    press: (name: string) => button(name).click(),
    /** With what Connect connects. */
    choose: (way: string) => page.getByRole('radio', { name: way }).check(),
    /** Opens the steps that Connect takes at once. */
    openByHand: () => page.getByText('By hand', { exact: true }).click(),
    frames: (kind: 'sent' | 'received') => entries.filter({ hasText: kind }),
    /** Resolves when a counter shows this. */
    counts: (name: string, value: number) =>
      page.locator('dl div', { hasText: name }).getByText(String(value), { exact: true }).waitFor(),
  };
}

/** Resolves when the text is there. */
export const shows = (place: Locator, text: string | RegExp) =>
  place.filter({ hasText: text }).waitFor();
