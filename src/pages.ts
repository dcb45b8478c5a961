import { createHash } from 'node:crypto';
import type { Handler } from './router.ts';
import { VERSION } from './version.ts';

/** A whole page: all that it needs is in it. */
export interface Page {
  readonly title: string;
  readonly style: string;
  /** HTML; whatever was not written by us must be escaped. */
  readonly body: string;
  /** A module script, run when the page has been read. It may talk to this server only. */
  readonly script?: string;
}

export interface LandingOptions {
  /** Whether there is a playground to link to. */
  readonly playground?: boolean;
}

const REPOSITORY = 'https://github.com/bifrost-node/bifrost-node';

/** A bridge in an image of its own, so that no browser asks for a `/favicon.ico` which is not there. */
const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke-width="4">' +
    '<path d="M4 26a12 12 0 0 1 24 0" stroke="#e5484d"/>' +
    '<path d="M8 26a8 8 0 0 1 16 0" stroke="#f5a524"/>' +
    '<path d="M12 26a4 4 0 0 1 8 0" stroke="#3b82f6"/></svg>',
)}`;

/** What every page of ours has in common: the colours, light and dark, the bridge on top and a visible focus. */
const BASE_STYLE = `
:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #ffffff; --text: #1b1f27; --soft: #566070; --line: #d5dae2;
  --accent: #1f5fd0; --on-accent: #ffffff; --good: #137a41; --bad: #b3261e; --wait: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #12151b; --card: #1a1f28; --text: #e8ebf0; --soft: #a0a9b8; --line: #343c4a;
    --accent: #8ab4ff; --on-accent: #0d1726; --good: #5fd398; --bad: #ff8f86; --wait: #f2bd5c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
body::before {
  content: ""; display: block; height: 4px;
  background: linear-gradient(90deg, #e5484d, #f5a524, #3fb26b, #3b82f6, #8b5cf6);
}
a { color: var(--accent); }
code, pre, textarea, input { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`;

const LANDING_STYLE = `
main { max-width: 40rem; margin: 0 auto; padding: 4rem 1.25rem; }
h1 { margin: 0; font-size: 2.25rem; line-height: 1.2; }
.version { margin: 0 0 2rem; color: var(--soft); }
ul { padding: 0; margin: 2rem 0 0; list-style: none; border-top: 1px solid var(--line); }
li { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .6rem 0; border-bottom: 1px solid var(--line); }
li a { flex: 0 0 9rem; }
li span { flex: 1 1 10rem; color: var(--soft); }
`;

/** `GET /`: tells a person who comes by what is running here. */
export function landingPage({ playground = false }: LandingOptions = {}): Handler {
  return pageHandler({
    title: 'Bifröst',
    style: LANDING_STYLE,
    body: `<main>
<h1>Bifröst</h1>
<p class="version">Version ${escapeHtml(VERSION)}</p>
<p>Bifröst is an open source websocket server: your app posts a signed message, every subscribed browser has it.</p>
<p>If you can read this, it is running.</p>
<ul>${playground ? link('/test', 'Playground', 'try it, here and now; in development only') : ''}
${link(`${REPOSITORY}#readme`, 'Documentation', 'how to subscribe and broadcast')}
${link(REPOSITORY, 'Source code', 'MIT licence')}
${link('/info.json', '/info.json', 'how many subscriptions and deliveries')}
${link('/healthz', '/healthz', 'whether it takes connections')}
</ul>
</main>`,
  });
}

function link(href: string, name: string, what: string): string {
  return `<li><a href="${escapeHtml(href)}">${escapeHtml(name)}</a> <span>${escapeHtml(what)}</span></li>`;
}

/** Text → HTML that shows it, in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/**
 * Answers a page under a Content-Security-Policy that lets nothing in but what is in the page itself, known by hash:
 * no other script, style or host, no frame around it, and no text that becomes markup.
 */
export function pageHandler({ title, style, body, script }: Page): Handler {
  const css = BASE_STYLE + style;
  const policy = [
    "default-src 'none'",
    `style-src ${hashSource(css)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  // 'self' covers websockets to the own host too (CSP 3 §6.7.2.8).
  if (script !== undefined) policy.push(`script-src ${hashSource(script)}`, "connect-src 'self'");

  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="${ICON}">
<style>${css}</style>
</head>
<body>
${body}
${script === undefined ? '' : `<script type="module">${script}</script>\n`}</body>
</html>
`;
  const reply = {
    status: 200,
    contentType: 'text/html; charset=utf-8',
    body: html,
    headers: {
      'Content-Security-Policy': policy.join('; '),
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    },
  };
  return () => reply;
}

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
