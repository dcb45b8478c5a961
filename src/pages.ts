import type { Handler } from './router.ts';

const LANDING = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bifröst</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}</style>
<h1>Bifröst</h1>
<p>Bifröst is an open source websocket server: your app posts a signed message, every subscribed browser has it.</p>
</html>
`;

/** `GET /`: tells a person who comes by what is running here. */
export function landingPage(): Handler {
  return () => ({ status: 200, contentType: 'text/html; charset=utf-8', body: LANDING });
}
