/** RFC 3339 in whole seconds, as metav1.Time is written. */
export function toKubeTime(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** RFC 3339 with six digits, as metav1.MicroTime is written. */
export function toKubeMicroTime(date: Date): string {
  return date.toISOString().replace(/Z$/, '000Z');
}
