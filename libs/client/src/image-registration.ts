import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  ImageDescription,
  Problem,
  virtualMachineImages,
  VirtualMachineImageSpec,
  type VirtualMachineImage,
} from '@corral/contracts';
import { z } from 'zod';
import type { ConnectionOptions } from './connection.ts';
import { HttpObjectClient } from './http-object-client.ts';
import { problemOf } from './status-problem.ts';

const UPLOAD_DEADLINE_MS = 30 * 60_000;
const REQUEST_DEADLINE_MS = 15_000;
const ATTEMPTS = 5;
const SPEC_ANNOTATION = 'corral.dev/registered-spec';

/** What an image build leaves in `current.json`. */
const BuiltImage = ImageDescription.extend({ directory: z.string() });
export type BuiltImage = Readonly<z.output<typeof BuiltImage>>;

export async function readBuiltImage(currentFile: string): Promise<BuiltImage> {
  return BuiltImage.parse(JSON.parse(await readFile(currentFile, 'utf8')));
}

/**
 * Brings a built image into the API: uploads the artifacts it lacks, then creates its VirtualMachineImage, or replaces its
 * spec when another build was registered before. What someone changed by hand stays until the next build.
 */
export async function registerImage(image: BuiltImage, api: ConnectionOptions): Promise<VirtualMachineImage> {
  for (const artifact of Object.values(image.artifacts)) {
    if (!(await isStored(artifact.sha256, api))) await upload(join(image.directory, artifact.file), artifact, api);
  }
  const spec = specOf(image);
  const annotations = { [SPEC_ANNOTATION]: createHash('sha256').update(JSON.stringify(spec)).digest('hex') };
  const client = new HttpObjectClient(api);
  for (let attempt = 1; ; attempt++) {
    try {
      const present = await client.get(virtualMachineImages, undefined, image.name);
      if (!present)
        return await client.create(virtualMachineImages, { metadata: { name: image.name, annotations }, spec });
      if (present.metadata.annotations?.[SPEC_ANNOTATION] === annotations[SPEC_ANNOTATION]) return present;
      const metadata = { ...present.metadata, annotations: { ...present.metadata.annotations, ...annotations } };
      return await client.replace(virtualMachineImages, { ...present, metadata, spec });
    } catch (error) {
      const raced = error instanceof Problem && (error.code === 'object.conflict' || error.code === 'object.exists');
      if (!raced || attempt === ATTEMPTS) throw error;
    }
  }
}

function specOf(image: BuiltImage): VirtualMachineImageSpec {
  const { description, commandLine, memory, minimumMemory, residentMemory, guestAgent, acpi } = image;
  const artifacts = Object.entries(image.artifacts).map(([role, { sha256 }]) => [
    role,
    { url: `artifact:${sha256}`, sha256 },
  ]);
  return VirtualMachineImageSpec.parse({
    description,
    commandLine,
    memory,
    minimumMemory,
    ...(residentMemory === undefined ? {} : { residentMemory }),
    guestAgent,
    acpi,
    ...Object.fromEntries(artifacts),
  });
}

const artifactsPath = `/apis/${virtualMachineImages.group}/${virtualMachineImages.version}/artifacts`;

async function isStored(sha256: string, { baseUrl, token }: ConnectionOptions): Promise<boolean> {
  const response = await fetch(`${baseUrl}${artifactsPath}/${sha256}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(REQUEST_DEADLINE_MS),
  });
  if (response.status === 404) return false;
  if (!response.ok) throw problemOf(response.status, undefined);
  return true;
}

async function upload(
  file: string,
  { sha256, sizeBytes }: { readonly sha256: string; readonly sizeBytes: number },
  { baseUrl, token }: ConnectionOptions,
): Promise<void> {
  const response = await fetch(`${baseUrl}${artifactsPath}?sha256=${sha256}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/octet-stream',
      'content-length': String(sizeBytes),
    },
    body: Readable.toWeb(createReadStream(file)),
    duplex: 'half',
    signal: AbortSignal.timeout(UPLOAD_DEADLINE_MS),
  });
  if (!response.ok) throw problemOf(response.status, await response.json().catch(() => undefined));
}
