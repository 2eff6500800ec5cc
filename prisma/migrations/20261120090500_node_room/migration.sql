-- No node takes more machines than it has room for, whoever binds them: schedulers that race, or people. The check is part
-- of the write, under the lock of all writes, so it is exact; what schedulers believe only makes it rare.

-- Bytes in a Kubernetes quantity; NULL when it is none. As parseBytes of libs/contracts, compared by a test.
CREATE FUNCTION "corral_bytes"(p_quantity TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN b.bytes = trunc(b.bytes) AND b.bytes <= 9007199254740991 THEN b.bytes::BIGINT END
  FROM regexp_match(p_quantity, '^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$') AS m(parts),
    LATERAL (SELECT m.parts[1]::NUMERIC * CASE coalesce(m.parts[2], '')
      WHEN '' THEN 1 WHEN 'k' THEN 1e3 WHEN 'M' THEN 1e6 WHEN 'G' THEN 1e9 WHEN 'T' THEN 1e12
      WHEN 'Ki' THEN 1024 WHEN 'Mi' THEN 1048576 WHEN 'Gi' THEN 1073741824 ELSE 1099511627776 END AS bytes) b
$$;

-- What a machine takes of its node's memory: its RAM, and 112 MiB for its process. As chargeOf of libs/scheduling, compared by a test.
CREATE FUNCTION "corral_charge"(p_machine JSON) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce("corral_bytes"(p_machine #>> '{spec,memory}'), coalesce((p_machine #>> '{status,memoryMiB}')::BIGINT, 128) * 1048576) + 112 * 1048576
$$;

ALTER TABLE "objects"
  ADD COLUMN "node_name" TEXT GENERATED ALWAYS AS (CASE WHEN "resource" = 'virtualmachines.corral.dev' THEN "object" #>> '{spec,nodeName}' END) STORED,
  ADD COLUMN "charged_bytes" BIGINT GENERATED ALWAYS AS (
    CASE WHEN "resource" = 'virtualmachines.corral.dev' AND "object" #>> '{spec,nodeName}' IS NOT NULL THEN "corral_charge"("object") END) STORED;
CREATE INDEX "objects_node_name_idx" ON "objects"("node_name") INCLUDE ("charged_bytes") WHERE "node_name" IS NOT NULL;

-- SQLSTATE CR001 is node.full. A node that has not said what it has takes what it is given.
CREATE FUNCTION "corral_require_room"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  v_allocatable JSON;
  v_machines BIGINT;
  v_bytes BIGINT;
BEGIN
  SELECT o."object" #> '{status,allocatable}' INTO v_allocatable FROM "objects" o
    WHERE o."resource" = 'nodes' AND o."namespace" = '' AND o."name" = NEW."node_name";
  SELECT count(*), sum(o."charged_bytes") INTO v_machines, v_bytes FROM "objects" o WHERE o."node_name" = NEW."node_name";
  IF v_machines > (v_allocatable ->> 'corral.dev/machines')::NUMERIC THEN
    RAISE EXCEPTION USING ERRCODE = 'CR001', MESSAGE = format('node "%s" has no room: it takes %s machines', NEW."node_name", v_allocatable ->> 'corral.dev/machines');
  END IF;
  IF v_bytes > "corral_bytes"(v_allocatable ->> 'memory') THEN
    RAISE EXCEPTION USING ERRCODE = 'CR001', MESSAGE = format('node "%s" has no room: the machine needs %s bytes, and %s are free', NEW."node_name",
      NEW."charged_bytes", "corral_bytes"(v_allocatable ->> 'memory') - v_bytes + NEW."charged_bytes");
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "objects_room_of_created" AFTER INSERT ON "objects" FOR EACH ROW
  WHEN (NEW."node_name" IS NOT NULL) EXECUTE FUNCTION "corral_require_room"();
CREATE TRIGGER "objects_room_of_bound" AFTER UPDATE ON "objects" FOR EACH ROW
  WHEN (NEW."node_name" IS NOT NULL AND NEW."node_name" IS DISTINCT FROM OLD."node_name") EXECUTE FUNCTION "corral_require_room"();
