CREATE TABLE "objects" (
  "uid" UUID NOT NULL,
  "resource" TEXT NOT NULL,
  "namespace" TEXT COLLATE "C" NOT NULL,
  "name" TEXT COLLATE "C" NOT NULL,
  "generate_name" TEXT,
  "resource_version" BIGINT NOT NULL,
  "generation" BIGINT NOT NULL,
  "creation_timestamp" TIMESTAMPTZ(0) NOT NULL,
  "deletion_timestamp" TIMESTAMPTZ(0),
  "deletion_grace_period_seconds" INTEGER,
  "labels" JSONB NOT NULL DEFAULT '{}',
  "annotations" JSON NOT NULL DEFAULT '{}',
  "finalizers" TEXT[],
  "owner_references" JSONB NOT NULL DEFAULT '[]',
  "managed_fields" JSON,
  "spec" JSON,
  "status" JSON,
  "body" JSON,
  CONSTRAINT "objects_pkey" PRIMARY KEY ("uid")
);
CREATE UNIQUE INDEX "objects_resource_namespace_name_key" ON "objects"("resource", "namespace", "name");
CREATE INDEX "objects_labels_idx" ON "objects" USING GIN ("labels" jsonb_path_ops);
CREATE INDEX "objects_owner_references_idx" ON "objects" USING GIN ("owner_references" jsonb_path_ops);

CREATE TABLE "changes" (
  "resource_version" BIGINT NOT NULL,
  "type" TEXT NOT NULL,
  "resource" TEXT NOT NULL,
  "namespace" TEXT COLLATE "C" NOT NULL,
  "name" TEXT COLLATE "C" NOT NULL,
  "object" JSON NOT NULL,
  "previous" JSON,
  "previous_resource_version" BIGINT,
  "changed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "changes_pkey" PRIMARY KEY ("resource_version")
);
CREATE INDEX "changes_resource_resource_version_idx" ON "changes"("resource", "resource_version");
CREATE INDEX "changes_resource_namespace_name_resource_version_idx" ON "changes"("resource", "namespace", "name", "resource_version");

CREATE TABLE "compaction" (
  "id" INTEGER NOT NULL DEFAULT 1,
  "through" BIGINT NOT NULL,
  CONSTRAINT "compaction_pkey" PRIMARY KEY ("id")
);
INSERT INTO "compaction" ("id", "through") VALUES (1, 0);

CREATE TABLE "access_tokens" (
  "digest" BYTEA NOT NULL,
  "kind" TEXT NOT NULL,
  "user_name" TEXT NOT NULL,
  "groups" TEXT[],
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expires_at" TIMESTAMPTZ(3),
  CONSTRAINT "access_tokens_pkey" PRIMARY KEY ("digest")
);
CREATE INDEX "access_tokens_expires_at_idx" ON "access_tokens"("expires_at");

CREATE TABLE "tickets" (
  "digest" BYTEA NOT NULL,
  "purpose" TEXT NOT NULL,
  "user_name" TEXT NOT NULL,
  "groups" TEXT[],
  "expires_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "tickets_pkey" PRIMARY KEY ("digest")
);
CREATE INDEX "tickets_expires_at_idx" ON "tickets"("expires_at");

-- Versions come from one sequence, drawn under a lock that is held until commit: so they become visible in their order.
CREATE SEQUENCE "resource_version" AS BIGINT;

-- The version of everything this statement can see.
CREATE FUNCTION "corral_current_version"() RETURNS BIGINT LANGUAGE sql STABLE AS $$
  SELECT greatest(coalesce((SELECT max("resource_version") FROM "changes"), 0), (SELECT "through" FROM "compaction"))
$$;

-- Takes the write lock, draws a version, appends to the log and wakes readers. Nothing may wait after it.
CREATE FUNCTION "corral_lock_writes"() RETURNS VOID LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(4853241)
$$;

-- Compare-and-set of one object, its version, its change and the wake-up, in one round trip.
--   p_expected NULL: create; else the version that must be stored now.
--   p_object NULL: delete; p_final is then the object as it was last (with its deletionTimestamp).
-- Outcomes: Written, Exists, Missing, Stale, NamespaceMissing, NamespaceTerminating.
CREATE FUNCTION "corral_write"(
  p_resource TEXT, p_namespace TEXT, p_name TEXT, p_uid UUID, p_expected BIGINT, p_object JSON, p_final JSON, p_previous JSON
) RETURNS TABLE (outcome TEXT, version BIGINT) LANGUAGE plpgsql AS $$
DECLARE
  v_stored BIGINT;
  v_version BIGINT;
  v_type TEXT;
  v_deleting TIMESTAMPTZ;
  v_metadata JSON := p_object -> 'metadata';
  v_rest JSON;
BEGIN
  IF p_expected IS NOT NULL THEN
    -- The row is locked first: a stale writer learns so without standing in the queue of writers.
    SELECT o."resource_version" INTO v_stored FROM "objects" o
      WHERE o."resource" = p_resource AND o."namespace" = p_namespace AND o."name" = p_name AND o."uid" = p_uid FOR UPDATE;
    IF NOT FOUND THEN RETURN QUERY SELECT 'Missing', NULL::BIGINT; RETURN; END IF;
    IF v_stored <> p_expected THEN RETURN QUERY SELECT 'Stale', v_stored; RETURN; END IF;
  END IF;

  PERFORM "corral_lock_writes"();

  IF p_expected IS NULL THEN
    IF EXISTS (SELECT FROM "objects" o WHERE o."resource" = p_resource AND o."namespace" = p_namespace AND o."name" = p_name) THEN
      RETURN QUERY SELECT 'Exists', NULL::BIGINT; RETURN;
    END IF;
    IF p_namespace <> '' THEN
      SELECT o."deletion_timestamp" INTO v_deleting FROM "objects" o
        WHERE o."resource" = 'namespaces' AND o."namespace" = '' AND o."name" = p_namespace;
      IF NOT FOUND THEN RETURN QUERY SELECT 'NamespaceMissing', NULL::BIGINT; RETURN; END IF;
      IF v_deleting IS NOT NULL THEN RETURN QUERY SELECT 'NamespaceTerminating', NULL::BIGINT; RETURN; END IF;
    END IF;
  END IF;

  v_version := nextval('resource_version');
  IF p_object IS NULL THEN
    v_type := 'DELETED';
    DELETE FROM "objects" o WHERE o."uid" = p_uid;
  ELSE
    SELECT json_object_agg(key, value) INTO v_rest FROM json_each(p_object)
      WHERE key NOT IN ('apiVersion', 'kind', 'metadata', 'spec', 'status');
    v_type := CASE WHEN p_expected IS NULL THEN 'ADDED' ELSE 'MODIFIED' END;
    INSERT INTO "objects" VALUES (
      p_uid, p_resource, p_namespace, p_name, v_metadata ->> 'generateName', v_version, (v_metadata ->> 'generation')::BIGINT,
      (v_metadata ->> 'creationTimestamp')::TIMESTAMPTZ, (v_metadata ->> 'deletionTimestamp')::TIMESTAMPTZ,
      (v_metadata ->> 'deletionGracePeriodSeconds')::INTEGER,
      coalesce((v_metadata -> 'labels')::JSONB, '{}'), coalesce(v_metadata -> 'annotations', '{}'),
      ARRAY(SELECT json_array_elements_text(coalesce(v_metadata -> 'finalizers', '[]'))),
      coalesce((v_metadata -> 'ownerReferences')::JSONB, '[]'), v_metadata -> 'managedFields',
      p_object -> 'spec', p_object -> 'status', v_rest
    )
    ON CONFLICT ("uid") DO UPDATE SET
      "resource_version" = excluded."resource_version", "generation" = excluded."generation",
      "deletion_timestamp" = excluded."deletion_timestamp",
      "deletion_grace_period_seconds" = excluded."deletion_grace_period_seconds",
      "labels" = excluded."labels", "annotations" = excluded."annotations", "finalizers" = excluded."finalizers",
      "owner_references" = excluded."owner_references", "managed_fields" = excluded."managed_fields",
      "spec" = excluded."spec", "status" = excluded."status", "body" = excluded."body";
  END IF;

  INSERT INTO "changes" ("resource_version", "type", "resource", "namespace", "name", "object", "previous", "previous_resource_version")
    VALUES (v_version, v_type, p_resource, p_namespace, p_name, coalesce(p_object, p_final), p_previous, p_expected);
  PERFORM pg_notify('corral_changes', v_version::TEXT);
  RETURN QUERY SELECT 'Written', v_version;
END $$;

-- Forgets changes up to p_before (exclusive by time), but keeps the newest p_keep. Returns how many were forgotten.
CREATE FUNCTION "corral_compact"(p_before TIMESTAMPTZ, p_keep BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
  v_through BIGINT;
  v_count BIGINT;
BEGIN
  PERFORM "corral_lock_writes"();
  SELECT max("resource_version") INTO v_through FROM "changes"
    WHERE "changed_at" < p_before
      AND "resource_version" <= coalesce((SELECT "resource_version" FROM "changes" ORDER BY "resource_version" DESC OFFSET p_keep LIMIT 1), -1);
  IF v_through IS NULL THEN RETURN 0; END IF;
  UPDATE "compaction" SET "through" = v_through;
  DELETE FROM "changes" WHERE "resource_version" <= v_through;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;

-- What the garbage collector looks for: few objects have owners, fewer are being deleted.
CREATE INDEX "objects_owned_idx" ON "objects"("uid") WHERE "owner_references" <> '[]';
CREATE INDEX "objects_deleting_idx" ON "objects"("uid") WHERE "deletion_timestamp" IS NOT NULL;
