type Listener = (event: { readonly type: string }) => void;

/** What only browsers have. */
interface Page {
  readonly document?: { readonly hidden: boolean };
  addEventListener?(name: string, listener: Listener): void;
  removeEventListener?(name: string, listener: Listener): void;
}

const page = globalThis as Page;

/** After which a connection may be dead, or must end: a page with an open one is not put into the cache. */
const EVENTS = ['visibilitychange', 'online', 'pageshow', 'pagehide'];

/** Starts or stops listening to what the page goes through. Safe to call twice. */
export const listenToPage = (isWanted: boolean, listener: Listener): void => {
  for (const name of EVENTS) {
    page[isWanted ? 'addEventListener' : 'removeEventListener']?.(name, listener);
  }
};

/** True where there is no page. */
export const isPageVisible = (): boolean => !page.document?.hidden;
