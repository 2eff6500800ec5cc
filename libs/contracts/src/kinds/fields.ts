import { z } from 'zod';
import { parseBytes } from '../quantity.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** RFC 1123 label, at most 63 characters. */
export const isDnsLabel = (text: string): boolean => text.length <= 63 && LABEL.test(text);
/** RFC 1123 subdomain, at most 253 characters. */
export const isDnsSubdomain = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((part) => LABEL.test(part));

/** A reference to another object by name. */
export const DnsName = z
  .string()
  .refine(isDnsSubdomain, 'must be lower case letters, digits, "-" and ".", and begin and end with a letter or digit');

/** A whole number of bytes as a Kubernetes quantity. */
export const BytesQuantity = z
  .string()
  .refine((text) => parseBytes(text) !== undefined, 'must be a quantity of bytes such as 128Mi');

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower case hexadecimal digits');
