import { Inject, Injectable } from '@nestjs/common';
import { namespaces, type Namespace } from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';

/** Source: k8s.io/api/core/v1, LabelMetadataName. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Every namespace carries its name as a label, whatever is written to it, and is Active from the first moment. */
@Injectable()
export class NamespaceAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(namespaces, (namespace) => Promise.resolve(withPhase(withNameLabel(namespace))));
  }
}

function withNameLabel(namespace: Namespace): Namespace {
  const { metadata } = namespace;
  if (metadata.labels?.[NAME_LABEL] === metadata.name) return namespace;
  return { ...namespace, metadata: { ...metadata, labels: { ...metadata.labels, [NAME_LABEL]: metadata.name } } };
}

/** Stored, not only shown: selectors and programs read it. */
function withPhase(namespace: Namespace): Namespace {
  if (namespace.status?.phase !== undefined) return namespace;
  return { ...namespace, status: { ...namespace.status, phase: 'Active' } };
}
