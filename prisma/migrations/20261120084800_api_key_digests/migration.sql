-- An API key is found by what is kept of its secret. A table of its own: an index over what changes with every write
-- would make every write of every kind touch it.
CREATE TABLE "api_key_digests" (
  "digest" TEXT NOT NULL,
  "namespace" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  CONSTRAINT "api_key_digests_pkey" PRIMARY KEY ("digest")
);
INSERT INTO "api_key_digests"
  SELECT "object" #>> '{spec,digest}', "namespace", "name" FROM "objects" WHERE "resource" = 'apikeys.corral.dev' AND "object" #>> '{spec,digest}' IS NOT NULL;

-- A key never changes its digest, so only its beginning and its end count.
CREATE FUNCTION "corral_note_api_key"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO "api_key_digests" SELECT NEW."object" #>> '{spec,digest}', NEW."namespace", NEW."name" WHERE NEW."object" #>> '{spec,digest}' IS NOT NULL;
  ELSE
    DELETE FROM "api_key_digests" WHERE "digest" = OLD."object" #>> '{spec,digest}';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "api_key_begins" AFTER INSERT ON "objects" FOR EACH ROW WHEN (NEW."resource" = 'apikeys.corral.dev') EXECUTE FUNCTION "corral_note_api_key"();
CREATE TRIGGER "api_key_ends" AFTER DELETE ON "objects" FOR EACH ROW WHEN (OLD."resource" = 'apikeys.corral.dev') EXECUTE FUNCTION "corral_note_api_key"();
