import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { parseQuantity } from '../quantity.ts';
import { ResourceList } from './resource-list.ts';

/** What limits can be about. A machine is what Kubernetes calls a pod with one container, so all three mean it. */
export const LIMITED_TYPES = ['VirtualMachine', 'Pod', 'Container'] as const;
/** The one resource of a machine that can be limited. */
export const LIMITED_RESOURCE = 'memory';

export const LimitRangeItem = z.strictObject({
  type: z.enum(LIMITED_TYPES).describe('What is limited. All three mean virtual machines.'),
  max: ResourceList.optional().describe('memory: the most guest RAM a machine may have.'),
  min: ResourceList.optional().describe('memory: the least guest RAM and resident memory a machine may have.'),
  default: ResourceList.optional().describe('memory: guest RAM of machines from an image that say none.'),
  defaultRequest: ResourceList.optional().describe('memory: resident memory of machines that say none.'),
  maxLimitRequestRatio: ResourceList.optional().describe('memory: how many times its resident memory a machine’s guest RAM may be.'),
});
export type LimitRangeItem = z.output<typeof LimitRangeItem>;

export const LimitRangeSpec = z.strictObject({ limits: z.array(LimitRangeItem).describe('The limits, each for itself.') });
export type LimitRangeSpec = z.output<typeof LimitRangeSpec>;
export type LimitRange = KubeObject<LimitRangeSpec, never>;

/** Source: k8s.io/api core/v1, LimitRange. */
export const limitRanges: KindDefinition<LimitRangeSpec, never> = {
  group: '', version: 'v1', kind: 'LimitRange', plural: 'limitranges', singular: 'limitrange', shortNames: ['limits'], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: z.strictObject({ spec: LimitRangeSpec }),
  columns: [],
  selectableFields: {},
  validate: ({ spec }) => (spec?.limits ?? []).flatMap(itemProblems),
  warnings: ({ spec }) => {
    const names = (spec?.limits ?? []).flatMap((item) => AMOUNTS.flatMap((amount) => Object.keys(item[amount] ?? {})));
    return [...new Set(names)].filter((name) => name !== LIMITED_RESOURCE).map((name) => `spec.limits: machines have no ${name} to limit`);
  },
};

const AMOUNTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;
/** Pairs that must not be the other way round. Source: k8s.io/kubernetes/pkg/apis/core/validation, ValidateLimitRange. */
const ORDERED = [
  ['min', 'max'], ['min', 'default'], ['min', 'defaultRequest'], ['default', 'max'], ['defaultRequest', 'max'], ['defaultRequest', 'default'],
] as const;

function itemProblems(item: LimitRangeItem, index: number): FieldProblem[] {
  const at = `spec.limits[${index}]`;
  const problems: FieldProblem[] = [];
  for (const amount of AMOUNTS) {
    for (const [name, text] of Object.entries(item[amount] ?? {})) {
      const least = amount === 'maxLimitRequestRatio' ? 1 : 0;
      if ((parseQuantity(text) ?? 0) < least) problems.push({ field: `${at}.${amount}[${name}]`, reason: 'FieldValueInvalid', message: `must be greater than or equal to ${least}` });
    }
  }
  if (item.type === 'Pod') {
    for (const amount of ['default', 'defaultRequest'] as const) {
      if (item[amount] !== undefined) problems.push({ field: `${at}.${amount}`, reason: 'FieldValueForbidden', message: "may not be specified when `type` is 'Pod'" });
    }
  }
  for (const [lower, upper] of ORDERED) {
    for (const [name, text] of Object.entries(item[lower] ?? {})) {
      const above = item[upper]?.[name];
      if (above === undefined || (parseQuantity(text) ?? 0) <= (parseQuantity(above) ?? 0)) continue;
      problems.push({ field: `${at}.${lower}[${name}]`, reason: 'FieldValueInvalid', message: `${lower} value ${text} is greater than ${upper} value ${above}` });
    }
  }
  return problems;
}
