import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Reply } from '../http/reply.ts';
import type { Handler } from '../http/router.ts';

/** A page that loads nothing of other hosts: style, script and icon are part of it. */
export interface Page {
  readonly title: string;
  readonly style: string;
  /** HTML. Text from anywhere else must have been escaped with `escapeHtml`. */
  readonly body: string;
  /** A module script; it may connect to this server only. */
  readonly script?: string;
  /** True if the script imports `/client.js`, the one script that this server delivers. */
  readonly importsClient?: boolean;
}

const BASE_STYLE = readAsset('base.css');

/** Part of the page, so that browsers do not request `/favicon.ico`, which does not exist. */
const ICON = `data:image/svg+xml,${encodeURIComponent(readAsset('icon.svg').trimEnd())}`;

/** The text of a file in `assets/`, which the build copies beside the compiled code. */
export function readAsset(name: string): string {
  return readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');
}

/**
 * Modules of `assets/` as one script, each before those that import it: the policy allows a script by its hash, and a
 * script within the page cannot import others. No name may be declared in two of them.
 */
export function joinModules(names: readonly string[]): string {
  return names
    .map((name) => readAsset(name).replaceAll(/^import [^;]*;\n|^export /gm, ''))
    .join('\n');
}

/** Replaces each `{{name}}` of a template by the HTML of that name. Throws if there is none. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`No value for {{${name}}} in the template`);
    return value;
  });
}

/** Text → HTML that shows that text, in an element or in a double-quoted attribute. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/**
 * Answers with the page. Its Content-Security-Policy allows only the style and script of the page, by their hashes,
 * and the client if it is imported: no other script, style or host, no frame around it, and no text that becomes markup.
 */
export function pageHandler({ title, style, body, script, importsClient }: Page): Handler {
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
  if (script !== undefined) {
    // An imported module cannot be named by its hash.
    const sources = importsClient ? `'self' ${hashSource(script)}` : hashSource(script);
    policy.push(`script-src ${sources}`, "connect-src 'self'");
  }

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
