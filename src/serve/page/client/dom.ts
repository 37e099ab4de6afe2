/** The element with an id, which index.html has. */
export const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T

/** A new element with a class, attributes and children. Texts become text nodes, so no HTML in them is obeyed. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElement {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    // The page's Content-Security-Policy refuses a style that is set as an attribute.
    if (key === 'style') made.style.cssText = value
    else made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}
