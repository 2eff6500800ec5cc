import { z } from 'zod';
import type { FieldProblem } from '../problems.ts';
import { isLabelValue, isQualifiedName, labelProblems } from './fields.ts';

const SetOperator = z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']);
type SetOperator = z.output<typeof SetOperator>;

/** Selects objects by label, as a field of another object. Source: k8s.io/apimachinery/pkg/apis/meta/v1, LabelSelector. */
export const LabelSelector = z.strictObject({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z
    .array(z.strictObject({ key: z.string(), operator: SetOperator, values: z.array(z.string()).optional() }))
    .optional(),
});
export type LabelSelector = z.output<typeof LabelSelector>;

/** Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation, ValidateLabelSelector. */
export function labelSelectorProblems({ matchLabels, matchExpressions }: LabelSelector, field: string): FieldProblem[] {
  const ofExpressions = (matchExpressions ?? []).flatMap(({ key, operator, values = [] }, index): FieldProblem[] => {
    const path = `${field}.matchExpressions[${index}]`;
    const wantsValues = operator === 'In' || operator === 'NotIn';
    return [
      ...(wantsValues && values.length === 0 ? [{ field: `${path}.values`, reason: 'FieldValueRequired' as const, message: "must be specified when `operator` is 'In' or 'NotIn'" }] : []),
      ...(!wantsValues && values.length > 0 ? [{ field: `${path}.values`, reason: 'FieldValueForbidden' as const, message: "may not be specified when `operator` is 'Exists' or 'DoesNotExist'" }] : []),
      ...(isQualifiedName(key) ? [] : [{ field: `${path}.key`, reason: 'FieldValueInvalid' as const, message: 'must be a qualified name such as example.com/name' }]),
      ...(values.every(isLabelValue) ? [] : [{ field: `${path}.values`, reason: 'FieldValueInvalid' as const, message: 'must be values that a label can have' }]),
    ];
  });
  return [...labelProblems(matchLabels ?? {}, `${field}.matchLabels`), ...ofExpressions];
}

/** An empty selector selects everything, as in Kubernetes. Exact for selectors that are valid. */
export function selectsLabels({ matchLabels, matchExpressions }: LabelSelector, labels: Readonly<Record<string, string>> = {}): boolean {
  const valueOf = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels ?? {}).every(([key, value]) => valueOf(key) === value) &&
    (matchExpressions ?? []).every(({ key, operator, values }) => isAsRequired(operator, values, valueOf(key)))
  );
}

/** Whether a value, undefined where there is none, is what a requirement of these values asks for. */
export function isAsRequired(operator: SetOperator, values: readonly string[] | undefined, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values?.includes(value) === true;
    case 'NotIn':
      return value === undefined || values?.includes(value) !== true;
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}
