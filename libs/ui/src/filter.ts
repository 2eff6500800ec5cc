/**
 * The filter language, which is Kubernetes's: words match names, `app=desk`, `app!=desk`, `env in (a,b)`,
 * `env notin (a,b)` match labels, `node:worker-2`, `reason:GuestPanicked` match facets. Spaces and commas
 * between terms mean "and".
 */
export interface FilterSubject {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What `key:value` looks at: node, image, status, reason. */
  readonly facets: Readonly<Record<string, string>>;
}

export type FilterTerm =
  | { readonly type: 'Word'; readonly word: string }
  | { readonly type: 'Label'; readonly key: string; readonly values: readonly string[]; readonly negated: boolean }
  | { readonly type: 'Facet'; readonly key: string; readonly value: string };

const TERM = /(\S+?)\s+(in|notin)\s*\(([^)]*)\)|(\S+)/g;
const LABEL = /^([^=!:]+)(!=|==?)(.*)$/;
const FACET = /^([a-z]+):(.*)$/;

/** Terms of a filter. Any text is a filter: what is not a label or a facet is a word. */
export function parseFilter(text: string): readonly FilterTerm[] {
  return [...text.matchAll(TERM)].flatMap(([, key, operator, values, single]): FilterTerm[] => {
    if (key !== undefined) {
      return [{ type: 'Label', key, values: splitValues(values ?? ''), negated: operator === 'notin' }];
    }
    return (single ?? '').split(',').flatMap(parseTerm);
  });
}

function parseTerm(term: string): readonly FilterTerm[] {
  const label = LABEL.exec(term);
  if (label) return [{ type: 'Label', key: label[1] ?? '', values: [label[3] ?? ''], negated: label[2] === '!=' }];
  const facet = FACET.exec(term);
  if (facet) return [{ type: 'Facet', key: facet[1] ?? '', value: (facet[2] ?? '').toLowerCase() }];
  return term === '' ? [] : [{ type: 'Word', word: term.toLowerCase() }];
}

export function matchesFilter(terms: readonly FilterTerm[], subject: FilterSubject): boolean {
  return terms.every((term) => {
    switch (term.type) {
      case 'Word':
        return subject.name.toLowerCase().includes(term.word);
      case 'Label': {
        const value = subject.labels[term.key];
        // As in Kubernetes: != and notin also select what lacks the label.
        return term.negated
          ? value === undefined || !term.values.includes(value)
          : value !== undefined && term.values.includes(value);
      }
      case 'Facet':
        return (subject.facets[term.key] ?? '').toLowerCase().includes(term.value);
    }
  });
}

function splitValues(text: string): readonly string[] {
  return text
    .split(',')
    .map((value) => value.trim())
    .filter((value) => value !== '');
}
