import { Inject, Injectable } from '@nestjs/common';
import { namespaces, type Namespace } from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';

/** Source: k8s.io/api/core/v1, LabelMetadataName. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Every namespace carries its name as a label, whatever is written to it. */
@Injectable()
export class NamespaceAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(namespaces, (namespace) => Promise.resolve(withNameLabel(namespace)));
  }
}

function withNameLabel(namespace: Namespace): Namespace {
  const { metadata } = namespace;
  if (metadata.labels?.[NAME_LABEL] === metadata.name) return namespace;
  return { ...namespace, metadata: { ...metadata, labels: { ...metadata.labels, [NAME_LABEL]: metadata.name } } };
}
