-- What a machine takes of its node's memory: its resident budget where it has one, else its RAM, and 112 MiB for its process. As chargeOf
-- of libs/scheduling, compared by a test.
CREATE OR REPLACE FUNCTION "corral_charge"(p_machine JSON) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT least(
    coalesce("corral_bytes"(p_machine #>> '{spec,memory}'), coalesce((p_machine #>> '{status,memoryMiB}')::BIGINT, 128) * 1048576),
    "corral_bytes"(p_machine #>> '{spec,residentMemory}')
  ) + 112 * 1048576
$$;

-- Stored charges are computed when a row is written: those of machines with a budget, anew.
UPDATE "objects" SET "object" = "object" WHERE "node_name" IS NOT NULL AND "object" #>> '{spec,residentMemory}' IS NOT NULL;
