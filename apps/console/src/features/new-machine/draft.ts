import type { NewObject, VirtualMachineSpec } from '@corral/contracts';

/** The New machine form as filled in. */
export interface Draft {
  readonly name: string;
  readonly namespace: string;
  readonly source: { readonly type: 'image' | 'snapshot'; readonly name: string } | undefined;
  /** As typed; empty leaves it to the image. A snapshot brings its own. */
  readonly memoryMiB: string;
  readonly restartPolicy: VirtualMachineSpec['restartPolicy'];
  readonly labels: string;
}

export type DraftField = 'name' | 'namespace' | 'source' | 'memory' | 'restartPolicy' | 'labels';

/** Which paths of the object each field of the form writes: refusals find their place by it. */
export const DRAFT_PATHS: Readonly<Record<DraftField, readonly string[]>> = {
  name: ['metadata.name', 'name'],
  namespace: ['metadata.namespace'],
  source: ['spec.source'],
  memory: ['spec.memory'],
  restartPolicy: ['spec.restartPolicy'],
  labels: ['metadata.labels'],
};

/** Labels as written, `app=desk, owner=ines`; undefined when something is not key=value. */
export function parseLabels(text: string): Readonly<Record<string, string>> | undefined {
  const pairs = text
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '');
  const entries = pairs.map((pair) => /^([^=\s]+)=([^=\s]*)$/.exec(pair));
  if (entries.some((entry) => entry === null)) return undefined;
  return Object.fromEntries(entries.flatMap((entry) => (entry ? [[entry[1] ?? '', entry[2] ?? '']] : [])));
}

/** The object a draft asks for: only what was decided, so that defaults stay the server's. */
export function objectOf(draft: Draft): NewObject {
  const labels = parseLabels(draft.labels) ?? {};
  return {
    metadata: { name: draft.name, namespace: draft.namespace, ...(Object.keys(labels).length > 0 ? { labels } : {}) },
    spec: {
      source: draft.source ? { [draft.source.type]: draft.source.name } : {},
      ...(draft.memoryMiB.trim() === '' || draft.source?.type === 'snapshot'
        ? {}
        : { memory: `${draft.memoryMiB.trim()}Mi` }),
      ...(draft.restartPolicy === 'Always' ? {} : { restartPolicy: draft.restartPolicy }),
    },
  };
}
