import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { FieldProblem } from '../problems.ts';

/** Questions about rights, answered and not stored. Sources: k8s.io/api authorization/v1, authentication/v1. */

const Selector = z.object({ rawSelector: z.string().optional(), requirements: z.array(z.unknown()).optional() });
const ResourceAttributes = z.object({
  namespace: z.string().optional().describe('Empty: all namespaces, or none for what is in none.'),
  verb: z.string().optional(),
  group: z.string().optional(),
  version: z.string().optional(),
  resource: z.string().optional(),
  subresource: z.string().optional(),
  name: z.string().optional().describe('Empty: all names.'),
  fieldSelector: Selector.optional().describe('Not looked at: roles know names only.'),
  labelSelector: Selector.optional().describe('Not looked at: roles know no labels.'),
});
const NonResourceAttributes = z.object({ path: z.string().optional(), verb: z.string().optional() });

const Question = z.object({
  resourceAttributes: ResourceAttributes.optional().describe('What would be done to a resource; this or nonResourceAttributes.'),
  nonResourceAttributes: NonResourceAttributes.optional().describe('What would be done to another path.'),
});
export type AccessQuestion = z.output<typeof Question>;

const QuestionAboutSubject = Question.extend({
  user: z.string().optional().describe('Who it is asked about.'),
  groups: z.array(z.string()).optional().describe('The groups they are in.'),
  uid: z.string().optional().describe('Their uid.'),
  extra: z.record(z.string(), z.array(z.string())).optional().describe('What else is known of them.'),
});
export type SubjectQuestion = z.output<typeof QuestionAboutSubject>;

const RulesQuestion = z.object({ namespace: z.string().optional().describe('The namespace the rules are for.') });
export type RulesQuestion = z.output<typeof RulesQuestion>;

const review = { shortNames: [], categories: [], scope: 'Cluster', nameRule: 'PathSegment', builtIn: true, columns: [], selectableFields: {}, verbs: ['create'] } as const;
const ofAuthorization = { ...review, group: 'authorization.k8s.io', version: 'v1' } as const;

export const selfSubjectAccessReviews: KindDefinition = {
  ...ofAuthorization, kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews', singular: 'selfsubjectaccessreview',
  body: z.object({ spec: Question }),
  validate: ({ spec }) => questionProblems(spec as AccessQuestion),
};

export const subjectAccessReviews: KindDefinition = {
  ...ofAuthorization, kind: 'SubjectAccessReview', plural: 'subjectaccessreviews', singular: 'subjectaccessreview',
  body: z.object({ spec: QuestionAboutSubject }),
  validate: ({ spec }) => [...questionProblems(spec as SubjectQuestion), ...subjectProblems(spec as SubjectQuestion)],
};

export const localSubjectAccessReviews: KindDefinition = {
  ...subjectAccessReviews, kind: 'LocalSubjectAccessReview', plural: 'localsubjectaccessreviews', singular: 'localsubjectaccessreview',
  scope: 'Namespaced',
  validate: ({ spec, metadata }) => [...subjectProblems(spec as SubjectQuestion), ...localProblems(spec as SubjectQuestion, metadata.namespace ?? '')],
};

export const selfSubjectRulesReviews: KindDefinition = {
  ...ofAuthorization, kind: 'SelfSubjectRulesReview', plural: 'selfsubjectrulesreviews', singular: 'selfsubjectrulesreview',
  body: z.object({ spec: RulesQuestion }),
  validate: ({ spec }) => (!(spec as RulesQuestion).namespace ? [{ field: 'spec.namespace', reason: 'FieldValueRequired', message: 'no namespace on request' }] : []),
};

/** The same question in every version that some kubectl asks it in. */
export const selfSubjectReviews: readonly KindDefinition[] = ['v1', 'v1beta1', 'v1alpha1'].map((version) => ({
  ...review, group: 'authentication.k8s.io', version, kind: 'SelfSubjectReview', plural: 'selfsubjectreviews', singular: 'selfsubjectreview', body: z.object({}),
}));

/** Every kind that is a question: in discovery, never in the store. */
export const REVIEWS: readonly KindDefinition[] = [selfSubjectAccessReviews, subjectAccessReviews, localSubjectAccessReviews, selfSubjectRulesReviews, ...selfSubjectReviews];

/** Source: k8s.io/kubernetes/pkg/apis/authorization/validation. */
function questionProblems({ resourceAttributes, nonResourceAttributes }: AccessQuestion): FieldProblem[] {
  const field = 'spec.resourceAttributes';
  if (resourceAttributes && nonResourceAttributes) return [{ field: 'spec.nonResourceAttributes', reason: 'FieldValueInvalid', message: 'cannot be specified in combination with resourceAttributes' }];
  return resourceAttributes || nonResourceAttributes ? [] : [{ field, reason: 'FieldValueInvalid', message: 'exactly one of nonResourceAttributes or resourceAttributes must be specified' }];
}

function subjectProblems({ user, groups = [] }: SubjectQuestion): FieldProblem[] {
  return !user && groups.length === 0 ? [{ field: 'spec.user', reason: 'FieldValueInvalid', message: 'at least one of user or group must be specified' }] : [];
}

function localProblems({ resourceAttributes, nonResourceAttributes }: SubjectQuestion, namespace: string): FieldProblem[] {
  if (nonResourceAttributes) return [{ field: 'spec.nonResourceAttributes', reason: 'FieldValueInvalid', message: 'disallowed on this kind of request' }];
  if (!resourceAttributes) return [{ field: 'spec.resourceAttributes', reason: 'FieldValueRequired', message: '' }];
  return (resourceAttributes.namespace ?? '') === namespace ? [] : [{ field: 'spec.resourceAttributes.namespace', reason: 'FieldValueInvalid', message: `must match metadata.namespace ("${namespace}")` }];
}
