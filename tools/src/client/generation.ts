import { openApiDocument } from '@corral/api-machinery';
import { KINDS, type KindDefinition } from '@corral/contracts';
import openapiTS, { astToString } from 'openapi-typescript';

/** A file of libs/client/src/openapi, as the API's OpenAPI document has it now. */
export interface GeneratedFile {
  readonly name: string;
  readonly text: string;
}

interface Schema {
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly group: string; readonly version: string; readonly kind: string }[];
}

const BANNER = '// Written by `npm run client` from the OpenAPI document; edit the schemas of libs/contracts instead.\n';

/** Types of every kind, and a descriptor of each that carries its type. */
export async function generateClient(): Promise<readonly GeneratedFile[]> {
  // Paths are the same for every kind: the client writes them once, generically, and takes the types.
  const document = { ...openApiDocument(KINDS, 'v1'), paths: {} } as unknown as Parameters<typeof openapiTS>[0];
  const schemas = astToString(await openapiTS(document, { immutable: true, defaultNonNullable: false, exportType: true }));
  return [
    { name: 'schemas.ts', text: BANNER + schemas },
    { name: 'resources.ts', text: BANNER + resourcesText((document as unknown as { components: { schemas: Record<string, Schema> } }).components.schemas) },
  ];
}

function resourcesText(schemas: Readonly<Record<string, Schema>>): string {
  const nameOf = ({ group, version, kind }: KindDefinition): string => {
    const found = Object.entries(schemas).find(([, schema]) =>
      schema['x-kubernetes-group-version-kind']?.some((gvk) => gvk.group === group && gvk.version === version && gvk.kind === kind),
    );
    if (!found) throw new Error(`the OpenAPI document has no schema of ${kind}`);
    return found[0];
  };
  const types = KINDS.map((kind) => `export type ${kind.kind} = components['schemas']['${nameOf(kind)}'];`);
  const resources = KINDS.map(({ group, version, kind, plural, scope, ...rest }) => {
    const descriptor = { group, version, kind, plural, scope, hasStatus: rest.status !== undefined };
    const fields = Object.entries(descriptor).map(([name, value]) => `${name}: ${typeof value === 'string' ? `'${value}'` : String(value)}`);
    return `export const ${variableName(kind, plural)}: Resource<${kind}> = { ${fields.join(', ')} };`;
  });
  return `import type { Resource } from '../resource.ts';
import type { components } from './schemas.ts';

${types.join('\n')}

${resources.join('\n')}
`;
}

/** `VirtualMachine`, `virtualmachines` → `virtualMachines`: the plural with the capitals of the kind. */
function variableName(kind: string, plural: string): string {
  let shared = 0;
  while (shared < kind.length && plural[shared] === kind[shared]?.toLowerCase()) shared += 1;
  const name = kind.slice(0, shared) + plural.slice(shared);
  return name.replace(/^[A-Z]+(?=[A-Z][a-z])|^[A-Z]/, (capitals) => capitals.toLowerCase());
}
