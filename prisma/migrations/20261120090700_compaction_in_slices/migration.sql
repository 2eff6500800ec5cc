DROP FUNCTION "corral_compact"(TIMESTAMPTZ, BIGINT);

-- Forgets the oldest changes: those from before p_before, except the newest p_keep versions, and no more than p_most of them. Returns how many.
-- It needs no lock of writes: versions become visible in their order, so nothing can still appear below one that is there;
-- and whoever reads sees the mark and what is gone together, or neither.
CREATE FUNCTION "corral_compact"(p_before TIMESTAMPTZ, p_keep BIGINT, p_most BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
  v_through BIGINT;
  v_count BIGINT;
BEGIN
  WITH oldest AS MATERIALIZED (
    SELECT "resource_version", "changed_at" >= p_before OR "resource_version" > "corral_current_version"() - p_keep AS stays
      FROM "changes" ORDER BY "resource_version" LIMIT p_most
  )
  SELECT max("resource_version") INTO v_through FROM oldest
    WHERE "resource_version" < coalesce((SELECT min("resource_version") FROM oldest WHERE stays), 9223372036854775807);
  UPDATE "compaction" SET "through" = v_through WHERE "through" < v_through;
  IF NOT FOUND THEN RETURN 0; END IF;
  DELETE FROM "changes" WHERE "resource_version" <= v_through;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;
