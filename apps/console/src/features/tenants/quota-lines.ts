import type { ResourceQuota } from '@corral/contracts';

export interface QuotaLine {
  readonly resource: string;
  readonly used: string;
  readonly hard: string;
  readonly isBytes: boolean;
}

const BYTES = /(^|\.)memory$|-bytes$|storage$/;

/** What a quota limits, one line each, by name; a use that is not counted yet is nothing. */
export function quotaLines({ spec, status }: ResourceQuota): QuotaLine[] {
  const hard = status?.hard ?? spec?.hard ?? {};
  return Object.keys(hard)
    .sort()
    .map((resource) => ({
      resource,
      used: status?.used?.[resource] ?? '0',
      hard: hard[resource] ?? '0',
      isBytes: BYTES.test(resource),
    }));
}
