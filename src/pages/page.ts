import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Reply } from '../http/reply.ts';
import type { Handler } from '../http/router.ts';

/** A whole page: all that it needs is in it. */
export interface Page {
  readonly title: string;
  readonly style: string;
  /** HTML; whatever was not written by us must be escaped. */
  readonly body: string;
  /** A module script, run when the page has been read. It may talk to this server only. */
  readonly script?: string;
}

const BASE_STYLE = readAsset('base.css');

/** In the page itself, so that no browser asks for a `/favicon.ico` which is not there. */
const ICON = `data:image/svg+xml,${encodeURIComponent(readAsset('icon.svg').trimEnd())}`;

/** The text of a file in `assets/`, which the build copies beside the compiled code. */
export function readAsset(name: string): string {
  return readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');
}

/** Puts HTML in the places `{{name}}` of a template. Throws when a place has no value. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined)
      throw new Error(`The template has a place {{${name}}} without a value`);
    return value;
  });
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
  const reply: Reply = {
    status: 200,
    contentType: 'text/html; charset=utf-8',
    body: html,
    headers: {
      'Content-Security-Policy': policy.join('; '),
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    },
  };
  return (_request, respond) => {
    respond(reply);
  };
}

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
