/** What of the audit log is shown; lives in the URL, so that any page can link to it. */
export interface AuditFilter {
  readonly user?: string | undefined;
  readonly verb?: string | undefined;
  readonly resource?: string | undefined;
  readonly name?: string | undefined;
  readonly outcome?: 'Allowed' | 'Denied' | undefined;
}

/** A comma ends a requirement of a field selector, so no value may hold one. */
const plain = (text: string): string => text.replaceAll(',', '');

/** The API's query for one page of it; `since` asks for what is new only. */
export function auditQuery(
  filter: AuditFilter,
  page: { readonly limit: number; readonly continue?: string; readonly since?: string },
): string {
  const requirements = [
    ['user.username', filter.user],
    ['verb', filter.verb],
    ['objectRef.resource', filter.resource],
    ['objectRef.name', filter.name],
    ['decision', filter.outcome],
  ] as const;
  const fieldSelector = requirements
    .flatMap(([field, value]) => (value === undefined || value === '' ? [] : [`${field}=${plain(value)}`]))
    .join(',');
  const query = new URLSearchParams({ limit: String(page.limit) });
  if (fieldSelector !== '') query.set('fieldSelector', fieldSelector);
  if (page.continue !== undefined) query.set('continue', page.continue);
  if (page.since !== undefined) query.set('since', page.since);
  return query.toString();
}
