// The code that does what the form does, in several languages. The texts are hidden in the page, one for each language;
// `'{{name}}'` in them stands for a text in the quotes of the language, `{{name}}` for the value as it is.
import { element } from './page.js';
import { subscribeUrl } from './server.js';

/** The text in single quotes, as JavaScript and Python read it. */
function quoteScript(text) {
  const escaped = JSON.stringify(text).slice(1, -1);
  // Double quotes need no backslash here, single ones do.
  return `'${escaped.replaceAll(/\\.|'/g, (found) => ({ '\\"': '"', "'": "\\'" })[found] ?? found)}'`;
}

function quoteRuby(text) {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}

/** A POSIX shell has no escapes in single quotes: the quote itself stands outside of them. */
function quoteShell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const QUOTES = { curl: quoteShell, ruby: quoteRuby };

/** The code in this language; `message` is the JSON text of an object, `channels` what the browser subscribes to. */
export function snippetFor(language, { channel, message, channels }) {
  const values = {
    origin: location.origin,
    socket: subscribeUrl,
    channel,
    message,
    claims: `{"channel":${JSON.stringify(channel)},"message":${message},"exp":`,
    // In a comment of a script in a page: neither a tag nor the end of a line.
    channels: JSON.stringify(channels).replaceAll(/[<\u2028\u2029]/g, toEscape),
  };
  const quote = QUOTES[language] ?? quoteScript;
  return element(`snippet-${language}`).textContent.replaceAll(
    /'\{\{(\w+)\}\}'|\{\{(\w+)\}\}/g,
    (_, quoted, plain) => (quoted === undefined ? values[plain] : quote(values[quoted])),
  );
}

function toEscape(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
