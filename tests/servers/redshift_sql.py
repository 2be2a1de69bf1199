"""What the stand-in of Redshift makes of a statement: PostgreSQL's SQL, a refusal, or a COPY from S3."""

from __future__ import annotations

import re
from dataclasses import dataclass

SETUP = r"""
CREATE SCHEMA rs;
CREATE DOMAIN rs.super AS jsonb;
CREATE DOMAIN rs.varbyte AS bytea;
CREATE SEQUENCE rs.identities;
CREATE TABLE rs.keys
  (conrelid oid, conname name, contype "char", conkey int2[], confrelid oid, confkey int2[]);
CREATE VIEW rs.pg_constraint AS SELECT conrelid, conname, contype, conkey, confrelid, confkey FROM rs.keys;
CREATE TABLE rs.placed (relid oid, kind text, name text, place int);
CREATE VIEW rs.pg_attribute AS
  SELECT attrelid, attname, atttypid, atttypmod, attnum, attnotnull, attisdropped,
  EXISTS (SELECT FROM rs.placed p WHERE relid = attrelid AND name = attname AND kind = 'd') AS attisdistkey,
  coalesce((SELECT place FROM rs.placed p WHERE relid = attrelid AND name = attname AND kind = 's'), 0)
    AS attsortkeyord FROM pg_catalog.pg_attribute a;
CREATE FUNCTION rs.refuse(code text, said text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION '%', said USING ERRCODE = code; END $$;
CREATE FUNCTION rs.fits(value text, most int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  IF octet_length(value) > most THEN RAISE EXCEPTION 'value too long for type character varying(%)', most
    USING ERRCODE = '22001'; END IF; RETURN true; END $$;
CREATE FUNCTION rs.default_identity(a int, b int, how text) RETURNS bigint LANGUAGE sql AS
  $$ SELECT nextval('rs.identities') $$;
CREATE FUNCTION rs.getdate() RETURNS timestamp LANGUAGE sql AS
  $$ SELECT date_trunc('second', clock_timestamp() AT TIME ZONE 'UTC') $$;
CREATE FUNCTION rs.pg_last_copy_count() RETURNS bigint LANGUAGE sql AS
  $$ SELECT coalesce(nullif(current_setting('rs.copied', true), ''), '-1')::bigint $$;
CREATE FUNCTION rs.json_parse(value text) RETURNS rs.super IMMUTABLE LANGUAGE sql AS
  $$ SELECT value::jsonb::rs.super $$;
CREATE FUNCTION rs.json_serialize(value rs.super) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT value::text $$;
CREATE FUNCTION rs.to_hex(value bytea) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT encode(value, 'hex') $$;
CREATE FUNCTION rs.has_assumerole_privilege(who name, role text, what text) RETURNS boolean LANGUAGE sql AS
  $$ SELECT role LIKE 'arn:aws:iam::123456789012:role/%' $$;
CREATE FUNCTION rs.made() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; part record; BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
    FOR part IN SELECT * FROM pg_catalog.pg_constraint
      WHERE conrelid = made.objid AND contype IN ('p', 'u', 'f') ORDER BY contype LOOP
      INSERT INTO rs.keys VALUES
        (part.conrelid, part.conname, part.contype, part.conkey, part.confrelid, part.confkey);
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', made.object_identity, part.conname);
    END LOOP;
    INSERT INTO rs.placed SELECT made.objid, k.kind, trim(both ' "' from n.name), n.place FROM
      (VALUES ('d', 'DISTKEY'), ('s', 'SORTKEY')) AS k(kind, word), regexp_split_to_table(
        substring(current_query() from k.word || '\s*\(([^()]*)\)'), ',') WITH ORDINALITY AS n(name, place);
    FOR part IN SELECT * FROM pg_catalog.pg_attribute WHERE attrelid = made.objid AND attnum > 0
      AND NOT attisdropped AND atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 4 LOOP
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS rs_%s', made.object_identity, part.attnum);
      EXECUTE format('ALTER TABLE %s ADD CONSTRAINT rs_%s CHECK (rs.fits(%I, %s))', made.object_identity,
        part.attnum, part.attname, part.atttypmod - 4);
    END LOOP;
  END LOOP; END $$;
GRANT USAGE ON SCHEMA rs TO PUBLIC;
GRANT SELECT, INSERT ON rs.keys TO PUBLIC;
GRANT SELECT, INSERT ON rs.placed TO PUBLIC;
GRANT SELECT ON rs.pg_constraint, rs.pg_attribute TO PUBLIC;
GRANT USAGE ON SEQUENCE rs.identities TO PUBLIC;
CREATE EVENT TRIGGER rs_made ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS')
  EXECUTE FUNCTION rs.made();
"""
SETTINGS = {
    "default_transaction_isolation": "'repeatable read'",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "search_path": '"$user", public, rs',
}

_LITERAL = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)
_REFUSED = [
    (r"\bON CONFLICT\b|\bRETURNING\b|\bLATERAL\b|\bFOR UPDATE\b", "42601", "syntax error at or near"),
    (r"\bIS (NOT )?DISTINCT FROM\b|\bOVERRIDING\b|\bctid\b", "42601", "syntax error at or near"),
    (r"\ACREATE (UNIQUE )?INDEX\b", "0A000", "SQL command CREATE INDEX not supported on Redshift tables"),
    (r"\ACREATE (SEQUENCE|TYPE|DOMAIN|TRIGGER)\b", "0A000", "not supported on Redshift"),
    (r"\bBYTEA\b|\bJSONB?\b(?!_)|\w\s*\[\]|\bSERIAL\b|\bUUID\b", "0A000", "type not supported on Redshift"),
    (r"\bCHECK\s*\(|\bGENERATED ALWAYS\b", "0A000", "CHECK and generated columns are not supported"),
    (r"\bCURRENT_TIMESTAMP\b|\bNOW\s*\(", "0A000", "function of the leader node only"),
    (r"\ADELETE FROM \S+ (AS )?(?!USING|WHERE)\w", "42601", "syntax error at or near"),
    (r"\AINSERT INTO .*\bDEFAULT VALUES\b", "42601", "syntax error at or near"),
]
"""What Redshift does not know though PostgreSQL does; not all of it."""
_REWRITTEN = [
    (r"\bVARBYTE\s*\(\s*\d+\s*\)", "rs.varbyte"),
    (r"\bSUPER\b", "rs.super"),
    (r"\bDISTSTYLE\s+(KEY|ALL|EVEN|AUTO)\b", ""),
    (r"\b(DISTKEY|(COMPOUND |INTERLEAVED )?SORTKEY)\s*\([^()]*\)", r" /* \g<0> */ "),
    (r"\bGENERATED BY DEFAULT AS IDENTITY\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)",
     r"DEFAULT rs.default_identity(0, 0, '\1,\2')"),
    (r"\bSYSDATE\b", "(now() AT TIME ZONE 'UTC')"),
    (r"\b(pg_constraint|pg_attribute)\b", r"rs.\1"),
    (r"\ASET (enable_case_sensitive_identifier|json_parse_\w+|query_group) TO", r"SET rs.\1 TO"),
]  # fmt: skip
_COPY = re.compile(
    r'\s*COPY\s+(?P<table>[\w."]+)\s+FROM\s+\'(?P<url>s3://[^\']+)\'\s+'
    r"IAM_ROLE\s+(?P<role>default|'[^']+')\s+FORMAT\s+AS\s+PARQUET\s+MANIFEST\s+STATUPDATE\s+OFF\s*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Copy:
    """A COPY of Parquet files from S3, the only form that the stand-in knows."""

    table: str
    url: str
    role: str


def refusal(code: str, said: str) -> str:
    """A statement of PostgreSQL that fails with this error."""
    quoted = said.replace("\\", "\\\\").replace("'", "''")
    return f"SELECT rs.refuse('{code}', '{quoted}')"


def read(sql: str) -> Copy | str:
    """The statement as PostgreSQL has to run it; a ``Copy`` if it is one."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        text = found[0]
        kept.append(text.lower() if text.startswith('"') else text)  # quoted names fold, too
        return f"\x01{len(kept) - 1}\x02"

    if re.match(r"\s*COPY\b", sql, re.IGNORECASE):
        found = _COPY.match(sql)
        if found is None:
            return refusal("42601", "syntax error in COPY, or an option that Parquet does not take")
        return Copy(found["table"].lower(), found["url"], found["role"].strip("'"))
    bare = _LITERAL.sub(keep, sql)
    for pattern, code, said in _REFUSED:
        if re.search(pattern, bare, re.IGNORECASE | re.DOTALL):
            return refusal(code, said)
    for pattern, made in _REWRITTEN:
        bare = re.sub(pattern, made, bare, flags=re.IGNORECASE)
    return re.sub(r"\x01(\d+)\x02", lambda found: kept[int(found[1])], bare)
