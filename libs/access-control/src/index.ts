/** Who may do what: role-based access control as Kubernetes evaluates it. Pure. */
export * from './policy-rule.ts';
export * from './coverage.ts';
export * from './access-policy.ts';
