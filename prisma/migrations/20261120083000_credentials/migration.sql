-- What a session or a ticket was given for, so that it ends with it.
ALTER TABLE "access_tokens" ADD COLUMN "id" UUID NOT NULL DEFAULT gen_random_uuid(), ADD COLUMN "credential" JSONB;
CREATE UNIQUE INDEX "access_tokens_id_key" ON "access_tokens"("id");
ALTER TABLE "tickets" ADD COLUMN "credential" JSONB;

-- What the server signs tokens of service accounts with. The newest signs; the others verify.
CREATE TABLE "signing_keys" (
  "id" TEXT NOT NULL,
  "private_key" JSONB NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "signing_keys_pkey" PRIMARY KEY ("id")
);

-- An API key is found by what is kept of its secret.
CREATE UNIQUE INDEX "objects_api_key_digest_idx" ON "objects" (("spec" ->> 'digest')) WHERE "resource" = 'apikeys.corral.dev';
