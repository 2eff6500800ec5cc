-- A machine that hibernates takes nothing of its node's memory. As placedMachine of libs/scheduling, compared by a test.
CREATE OR REPLACE FUNCTION "corral_charge"(p_machine JSON) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN p_machine #>> '{status,phase}' = 'Hibernated' THEN 0 ELSE least(
    coalesce("corral_bytes"(p_machine #>> '{spec,memory}'), coalesce((p_machine #>> '{status,memoryMiB}')::BIGINT, 128) * 1048576),
    "corral_bytes"(p_machine #>> '{spec,residentMemory}')
  ) + 112 * 1048576 END
$$;

-- So it needs room again to wake up. Where it is switched off or ends instead, nothing runs, and nothing is refused.
CREATE TRIGGER "objects_room_of_woken" AFTER UPDATE ON "objects" FOR EACH ROW
  WHEN (NEW."node_name" IS NOT NULL AND NEW."node_name" = OLD."node_name" AND OLD."charged_bytes" = 0 AND NEW."charged_bytes" > 0
    AND NEW."object" #>> '{status,phase}' = 'Starting')
  EXECUTE FUNCTION "corral_require_room"();
