import { z } from 'zod';
import type { FieldProblem } from '../problems.ts';
import { parseBytes } from '../quantity.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** RFC 1123 label, at most 63 characters. */
export const isDnsLabel = (text: string): boolean => text.length <= 63 && LABEL.test(text);
/** RFC 1123 subdomain, at most 253 characters. */
export const isDnsSubdomain = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((part) => LABEL.test(part));

/** What fits between two slashes of a path. Source: k8s.io/apimachinery/pkg/api/validation/path, IsValidPathSegmentName. */
export const isPathSegment = (text: string): boolean => text !== '' && text !== '.' && text !== '..' && !/[/%]/.test(text);

const QUALIFIED_PART = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** `prefix/name` or `name`: prefix a DNS subdomain, name at most 63 characters. Source: k8s.io/apimachinery, IsQualifiedName. */
export function isQualifiedName(text: string): boolean {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  return (slash === -1 || isDnsSubdomain(text.slice(0, slash))) && name.length <= 63 && QUALIFIED_PART.test(name);
}

export const isLabelValue = (text: string): boolean => text.length <= 63 && LABEL_VALUE.test(text);

/** What is wrong with labels, or with what selects by them. Source: k8s.io/apimachinery, ValidateLabels. */
export function labelProblems(labels: Readonly<Record<string, string>>, field: string): FieldProblem[] {
  return Object.entries(labels).flatMap(([key, value]): FieldProblem[] => [
    ...(isQualifiedName(key) ? [] : [{ field, reason: 'FieldValueInvalid' as const, message: `label key "${key}" must be a qualified name such as example.com/name` }]),
    ...(isLabelValue(value) ? [] : [{ field: `${field}.${key}`, reason: 'FieldValueInvalid' as const, message: `must be at most 63 alphanumeric characters, '-', '_' or '.', and start and end with an alphanumeric character` }]),
  ]);
}

/** A reference to another object by name. */
export const DnsName = z
  .string()
  .refine(isDnsSubdomain, 'must be lower case letters, digits, "-" and ".", and begin and end with a letter or digit');

/** A whole number of bytes as a Kubernetes quantity. */
export const BytesQuantity = z
  .string()
  .refine((text) => parseBytes(text) !== undefined, 'must be a quantity of bytes such as 128Mi');

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower case hexadecimal digits');
