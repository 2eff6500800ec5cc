/** An element of an answer: text, children, or several. Undefined children are left out. */
export type XmlNode = string | number | boolean | { readonly [name: string]: XmlNode | readonly XmlNode[] | undefined };

export function toXml(root: string, node: XmlNode): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(root, node)}`;
}

function element(name: string, node: XmlNode | readonly XmlNode[] | undefined): string {
  if (node === undefined) return '';
  if (isList(node)) return node.map((each) => element(name, each)).join('');
  if (typeof node !== 'object') return `<${name}>${escape(String(node))}</${name}>`;
  const children = Object.entries(node).map(([child, value]) => element(child, value));
  return `<${name}>${children.join('')}</${name}>`;
}

const isList = (node: XmlNode | readonly XmlNode[]): node is readonly XmlNode[] => Array.isArray(node);

const escape = (text: string): string =>
  text.replace(/[<>&"'\u0000-\u001f]/g, (character) => `&#${character.charCodeAt(0)};`);

/** The text of every element of this name. Enough for the flat requests of S3 (Delete, CompleteMultipartUpload). */
export function textsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => unescape(match[1] ?? ''));
}

/** The inside of every element of this name. */
export function insidesOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`, 'g'))].map((match) => match[1] ?? '');
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const unescape = (text: string): string =>
  text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number.parseInt(decimal, 10));
    return NAMED[name ?? ''] ?? whole;
  });
