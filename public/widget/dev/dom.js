// Making nodes without markup: no text of a reader or a model is ever parsed.

const SVG = 'http://www.w3.org/2000/svg';

// A function is a listener, a boolean an attribute that is there or not, null nothing.
export function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (typeof value === 'boolean') node.toggleAttribute(name, value);
    else if (value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

const ICONS = {
  close: 'M6 6l12 12M18 6 6 18',
  new: 'M20 13v5a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2h5M18.5 3.500a2 2 0 0 1 2 2L13 13l-3 1 1-3z',
  earlier: 'M4.5 12A7.5 7.5 0 1 0 7 6.400L4.5 8.700M4.5 4.500v4.200h4.200M12 8v4.300l3 1.7',
  back: 'M14.5 6l-6 6 6 6',
  down: 'M12 5v13M6.5 12.5 12 18l5.5-5.5',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M8 8h8v8H8z',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  up: 'M7 11l4-7c1.5 0 2.5 1 2.2 2.500L12.6 10H18a2 2 0 0 1 2 2.400l-1.2 5.800A2 2 0 0 1 16.8 20H7zM7 11H4v9h3',
  ask: 'M5 5h14v11h-8l-4 3.5V16H5zM9 10.5h6',
  bin: 'M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7',
};

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', `icon icon-${name}`);
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

// A button with a picture, and its name for ears and as a tooltip.
export function iconButton(name, label, click, attributes) {
  return h('button', { type: 'button', class: 'quiet', 'aria-label': label, title: label, click, ...attributes }, icon(name));
}

// Unchanged text is left alone, so that nothing is announced twice.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
