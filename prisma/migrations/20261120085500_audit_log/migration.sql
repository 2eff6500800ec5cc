-- Who did what, from where, and what became of it. Rows are only ever added, and forgotten by age.
CREATE TABLE "audit_log" (
  "id" BIGINT GENERATED ALWAYS AS IDENTITY,
  "at" TIMESTAMPTZ(3) NOT NULL,
  "request_id" TEXT NOT NULL,
  "user_name" TEXT NOT NULL,
  "groups" TEXT[] NOT NULL,
  "impersonated_by" TEXT,
  "credential" TEXT,
  "verb" TEXT NOT NULL,
  "api_group" TEXT NOT NULL,
  "resource" TEXT NOT NULL,
  "subresource" TEXT NOT NULL,
  "namespace" TEXT COLLATE "C" NOT NULL,
  "name" TEXT COLLATE "C" NOT NULL,
  "path" TEXT NOT NULL,
  "address" TEXT NOT NULL,
  "user_agent" TEXT NOT NULL,
  "decision" TEXT NOT NULL,
  "code" INTEGER NOT NULL,
  "reason" TEXT,
  CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "audit_log_at_idx" ON "audit_log" ("at");
CREATE INDEX "audit_log_namespace_idx" ON "audit_log" ("namespace", "id");
CREATE INDEX "audit_log_user_idx" ON "audit_log" ("user_name", "id");

-- The role the API connects with owns its tables, so it could take this away; but no statement of its own changes a row, and
-- none removes one but this function, which removes nothing younger than a day.
CREATE FUNCTION "corral_keep_audit_log"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('corral.forgetting_audit_log', true) = 'on' THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER "audit_log_rows_stay" BEFORE UPDATE OR DELETE ON "audit_log" FOR EACH ROW EXECUTE FUNCTION "corral_keep_audit_log"();
CREATE TRIGGER "audit_log_stays" BEFORE TRUNCATE ON "audit_log" FOR EACH STATEMENT EXECUTE FUNCTION "corral_keep_audit_log"();

-- Forgets what is older, some rows at a time; returns how many.
CREATE FUNCTION "corral_forget_audit_log"(p_before TIMESTAMPTZ, p_most INTEGER) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
  v_count BIGINT;
BEGIN
  PERFORM set_config('corral.forgetting_audit_log', 'on', true);
  DELETE FROM "audit_log" WHERE "id" IN (
    SELECT "id" FROM "audit_log" WHERE "at" < least(p_before, now() - interval '1 day') ORDER BY "at" LIMIT p_most
  );
  GET DIAGNOSTICS v_count = ROW_COUNT;
  PERFORM set_config('corral.forgetting_audit_log', 'off', true);
  RETURN v_count;
END $$;
