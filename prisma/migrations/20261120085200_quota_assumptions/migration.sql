-- A write that changes what its namespace uses says how many quotas it was charged to: one it has not heard of refuses it.
-- Many transactions in one round trip and one commit, under one lock: each is carried out whole or not at all.
-- p_writes: a list of
--   place      order of the versions, and of the answers
--   unit       which transaction it belongs to
--   resource, namespace, name, uid
--   expected   absent: create; else the version that must be stored now
--   object     absent: remove; else what is stored
--   final      of what is removed: the object as it was last
--   quotas     how many quotas its writer knows in its namespace; absent: it does not matter
--   labels, owners, finalizers, deleting   of `object`, for the columns that are looked up
-- No two of the writes may be about one object, and none about the namespace another one creates in: whoever sends them sees to that.
-- Answers each write's outcome (Possible, when only another of its transaction stood in the way), its version when it was
-- written, and the version of everything before.
CREATE OR REPLACE FUNCTION "corral_write"(p_writes JSON) RETURNS TABLE (place INTEGER, outcome TEXT, version BIGINT, base BIGINT)
  LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_base BIGINT;
  v_current BIGINT;
BEGIN
  PERFORM "corral_lock_writes"();
  v_base := "corral_current_version"();
  RETURN QUERY
  WITH sent AS MATERIALIZED (
    SELECT * FROM json_to_recordset(p_writes) AS w(
      place INTEGER, unit INTEGER, resource TEXT, namespace TEXT, name TEXT, uid UUID, expected BIGINT,
      quotas INTEGER, object JSON, final JSON, labels JSONB, owners JSONB, finalizers TEXT[], deleting TIMESTAMPTZ)
  ), judged AS MATERIALIZED (
    SELECT s.*, o.object AS previous,
      CASE
        WHEN s.quotas <> (SELECT count(*) FROM objects q WHERE q.resource = 'resourcequotas' AND q.namespace = s.namespace) THEN 'QuotasUnknown'
        WHEN s.expected IS NOT NULL THEN
          CASE WHEN o.uid IS DISTINCT FROM s.uid THEN 'Missing' WHEN o.resource_version <> s.expected THEN 'Stale' ELSE 'Possible' END
        WHEN o.uid IS NOT NULL THEN 'Exists'
        WHEN s.namespace = '' THEN 'Possible'
        WHEN n.uid IS NULL THEN 'NamespaceMissing'
        WHEN n.deletion_timestamp IS NOT NULL THEN 'NamespaceTerminating'
        ELSE 'Possible'
      END AS verdict
    FROM sent s
      LEFT JOIN objects o ON o.resource = s.resource AND o.namespace = s.namespace AND o.name = s.name
      LEFT JOIN objects n ON s.expected IS NULL AND s.namespace <> '' AND n.resource = 'namespaces' AND n.namespace = '' AND n.name = s.namespace
  ), accepted AS (
    SELECT j.*, bool_and(j.verdict = 'Possible') OVER (PARTITION BY j.unit) AS is_accepted FROM judged j
  ), drawn AS MATERIALIZED (
    SELECT a.*, nextval('resource_version') AS version FROM (SELECT * FROM accepted WHERE is_accepted ORDER BY place) a
  ), created AS (
    INSERT INTO objects (uid, resource, namespace, name, resource_version, deletion_timestamp, labels, finalizers, owner_references, object)
      SELECT d.uid, d.resource, d.namespace, d.name, d.version, d.deleting, coalesce(d.labels, '{}'), coalesce(d.finalizers, '{}'), coalesce(d.owners, '[]'), d.object
      FROM drawn d WHERE d.expected IS NULL
  ), updated AS (
    UPDATE objects o SET resource_version = d.version, deletion_timestamp = d.deleting, labels = coalesce(d.labels, '{}'),
        finalizers = coalesce(d.finalizers, '{}'), owner_references = coalesce(d.owners, '[]'), object = d.object
      FROM drawn d WHERE o.uid = d.uid AND d.expected IS NOT NULL AND d.object IS NOT NULL
  ), removed AS (
    DELETE FROM objects o USING drawn d WHERE o.uid = d.uid AND d.expected IS NOT NULL AND d.object IS NULL
  ), logged AS (
    INSERT INTO changes (resource_version, type, resource, namespace, name, object, previous, previous_resource_version)
      SELECT d.version, CASE WHEN d.expected IS NULL THEN 'ADDED' WHEN d.object IS NULL THEN 'DELETED' ELSE 'MODIFIED' END,
        d.resource, d.namespace, d.name, coalesce(d.object, d.final), d.previous, d.expected
      FROM drawn d
  )
  SELECT j.place, CASE WHEN d.version IS NULL THEN j.verdict ELSE 'Written' END, d.version, v_base
    FROM judged j LEFT JOIN drawn d ON d.place = j.place ORDER BY j.place;
  v_current := "corral_current_version"();
  IF v_current > v_base THEN PERFORM pg_notify('corral_changes', v_current::TEXT); END IF;
END $$;
