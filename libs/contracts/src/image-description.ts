import { z } from 'zod';
import { ARTIFACT_ROLES } from './kinds/image-parts.ts';

const Artifact = z.object({ file: z.string(), sha256: z.string(), sizeBytes: z.number().int() });

/** `image.json`, which an image build leaves beside the image’s files: what the image is and how a machine boots it. */
export const ImageDescription = z.object({
  name: z.string(),
  description: z.string(),
  commandLine: z.string(),
  memory: z.string(),
  minimumMemory: z.string(),
  /** What the RAM of a machine may take of its node where it does not say; absent: all of it. */
  residentMemory: z.string().optional(),
  guestAgent: z.boolean(),
  acpi: z.boolean(),
  kernelFlavor: z.enum(['stock', 'tickless']),
  digest: z.string(),
  artifacts: z.partialRecord(z.enum(ARTIFACT_ROLES), Artifact),
});
export type ImageDescription = z.output<typeof ImageDescription>;
