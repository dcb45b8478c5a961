// Finding and showing things on the page. Text from the network goes into it as text, never as markup; the policy
// forbids markup too.
export const element = (id) => document.getElementById(id);

/** Appends an element with this text. */
export function add(parent, tag, className, text) {
  const child = document.createElement(tag);
  if (className) child.className = className;
  child.textContent = text;
  parent.append(child);
  return child;
}

/** Shows the outcome of an action in its box, or empties the box. */
export function report(id, kind, title, text) {
  const box = element(id);
  box.dataset.kind = kind;
  box.textContent = '';
  if (title) add(box, 'strong', '', title);
  if (text) add(box, 'span', '', text);
}

/** Sets `aria-disabled`: a button with `disabled` would lose the keyboard's focus. */
export function setDisabled(id, isDisabled) {
  element(id).setAttribute('aria-disabled', String(isDisabled));
}

/** "1 message", "2 messages". */
export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Resolves to false where the browser keeps the clipboard to itself, as it does for pages without TLS. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
