"""Where a real Snowflake is less kind than an emulator that takes everything."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from snowflake.connector.cursor import SnowflakeCursor

from hdm.connectors.snowflake import SnowflakeCopySink, SnowflakeDatabase, SnowflakeSource
from hdm.connectors.snowflake.session import STATEMENT_SECONDS, Session, arguments
from hdm.connectors.snowflake.staging import place
from hdm.dialects import dialect
from hdm.errors import (
    Deadlock,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SourceChanged,
    Throttled,
    TransientError,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from hdm.sql import odbc_codec
from tests.unit.connectors.test_snowflake import (
    JOB,
    TABLE,
    account,  # noqa: F401 -- a fixture
    batch,
    chunk,
    fake,
    profile,
    read,
    sink,
    write,
)


@pytest.mark.parametrize("digits", [1, 2, 3, 4, 9, 10, 18, 19, 38])
def test_whole_numbers_arrive_as_narrow_integers(digits):
    """The driver gives NUMBER(p,0) in the narrowest integers that hold the values of a chunk."""
    column = Column("n", Kind.DECIMAL, pa.decimal128(digits, 0), precision=digits, scale=0)
    for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64()):
        arrived = pa.RecordBatch.from_arrays([pa.array([7, None, -9], kind)], names=["n"])
        (found,) = odbc_codec.carried(arrived, [column]).columns
        assert [None if v is None else int(v) for v in found.to_pylist()] == [7, None, -9]
    if digits < 3:
        too_wide = pa.RecordBatch.from_arrays([pa.array([100], pa.int8())], names=["n"])
        with pytest.raises(UnrepresentableValue, match="column n"):
            odbc_codec.carried(too_wide, [column])


def test_a_statement_may_work_longer_than_the_network_may_be_silent(account, monkeypatch):  # noqa: F811
    """The driver cancels a statement when its network_timeout is over, and hdm sent it again for ever."""
    from snowflake.connector import SnowflakeConnection, cursor

    timers, requests = [], []
    timer, command = cursor._TrackedQueryCancellationTimer, SnowflakeConnection.cmd_query

    def timing(seconds, *rest):
        timers.append(seconds)
        return timer(seconds, *rest)

    def asking(self, *args, **more):
        requests.append(more["timeout"])
        return command(self, *args, **more)

    monkeypatch.setattr(cursor, "_TrackedQueryCancellationTimer", timing)
    monkeypatch.setattr(SnowflakeConnection, "cmd_query", asking)
    connection = sink(account).database.connect("t")
    sink(account).database.run(connection, "SELECT 1")
    connection.close()
    assert timers and set(timers) == {STATEMENT_SECONDS}
    assert requests and set(requests) == {account["network_timeout"]}


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE, Mode.REPLACE])
def test_no_lock_is_held_while_rows_are_read_and_uploaded(account, mode):  # noqa: F811
    one = sink(account)
    ledger = one._ledger(one.target(TABLE))

    def rows():
        other = one.database.connect("other", write=True)
        one.database.begin(other, write=True)
        assert ledger.claim(other, chunk(9), Attempt(1)), "waits for the ledger's head"
        one.database.rollback(other)
        other.close()
        yield batch(1)

    write(one, chunk(), payload=Payload(TABLE, rows), mode=mode)
    assert one.committed(TABLE, chunk(), mode).rows == 1


def test_a_later_attempt_does_not_carry_what_is_there(account):  # noqa: F811
    one = sink(account)
    write(one, chunk(), batch(1))

    def rows():
        raise AssertionError("read again")
        yield

    assert write(one, chunk(), payload=Payload(TABLE, rows), attempt=2).adopted


def test_a_transaction_that_the_server_ended_writes_nothing(account):  # noqa: F811
    """Its COPY would be committed by itself in autocommit, without the ledger's row."""
    assert arguments(fake(), "t", write=True)["autocommit"] is False
    assert arguments(fake(), "t")["autocommit"] is True
    one = sink(account)
    one.prepare(TABLE, JOB, 1, Mode.APPEND)
    load, aborted = SnowflakeDatabase.taking, []

    def aborting(self, connection, *args, **more):
        put_in = load(self, connection, *args, **more)

        def taken():
            watcher = self.connect("watcher")
            self.evict(watcher, f"hdm:{chunk().chunk_id[:12]}:", 2)
            watcher.close()
            aborted.append(True)
            return put_in()

        return taken

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SnowflakeDatabase, "taking", aborting)
        with pytest.raises(TransientError, match="ended the transaction"):
            write(one, chunk(), batch(1))
    assert aborted and one.committed(TABLE, chunk(), Mode.APPEND) is None


DOCUMENTS = Table(
    Dataset("memory", "documents"),
    ("documents",),
    (
        Column("id", Kind.INT64, pa.int64(), False),
        Column("doc", Kind.JSON, pa.string(), native="VARIANT", origin="snowflake"),
        Column("plain", Kind.TEXT, pa.string()),
    ),
    ("id",),
)


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE, Mode.REPLACE])
def test_json_is_taken_apart_and_defaults_are_kept(account, mode):  # noqa: F811
    """COPY stores a JSON text in a VARIANT as one string, and gives NULL to columns it has no values of."""
    one = sink(account, table_name="documents")
    path = one.target(DOCUMENTS).path
    connection = one.database.connect("t")
    named = one.dialect.qualify(path)
    made = f'CREATE TABLE {named} ("id" NUMBER(19,0), "doc" VARIANT, "plain" VARCHAR, "kept" INT DEFAULT 7)'
    one.database.change(connection, made)
    rows = pa.RecordBatch.from_pylist(
        [{"id": 1, "doc": '{"a": [1, 2]}', "plain": '{"a": 1}'}, {"id": 2, "doc": None, "plain": None}],
        schema=DOCUMENTS.schema,
    )
    one.prepare(DOCUMENTS, JOB, 1, mode)
    payload = Payload(DOCUMENTS, lambda: iter([rows]))
    assert (
        one.write(DOCUMENTS, Chunk(JOB, DOCUMENTS.dataset, 0, epoch=1), Attempt(1), payload, mode).rows == 2
    )
    one.finish(DOCUMENTS, JOB, 1, mode)
    asked = f'SELECT "id", "doc":a[1]::INT, "plain", "kept" FROM {named} ORDER BY "id"'
    found = one.database.run(connection, asked)
    connection.close()
    assert found == [(1, 2, '{"a": 1}', 7), (2, None, None, 7)]


def described(*columns):
    return [{"name": n, "type": t, "kind": "COLUMN", "default": d} for n, t, d in columns]


def test_the_detour_is_taken_where_copy_would_err_and_only_there():
    from hdm.connectors.snowflake.arriving import detour

    one = SnowflakeDatabase(fake())
    text, json = Column("t", Kind.TEXT, pa.string()), Column("j", Kind.JSON, pa.string())
    other = Column("o", Kind.OTHER, pa.string())
    assert detour(one, described(("t", "VARIANT", None), ("j", "VARCHAR(9)", None)), [text, json]) is None
    way = detour(
        one,
        described(("t", "VARCHAR(9)", None), ("j", "ARRAY", None), ("o", "VECTOR(FLOAT, 3)", None)),
        [text, json, other],
    )
    assert way.values == {
        "t": '"t"', "j": 'PARSE_JSON("j")::ARRAY', "o": 'PARSE_JSON("o")::ARRAY::VECTOR(FLOAT, 3)',
    }  # fmt: skip
    assert way.types["t"] == "VARCHAR(9)"
    counted = described(("t", "VARCHAR(9)", None), ("n", "NUMBER(38,0)", "IDENTITY START 1 INCREMENT 1"))
    assert detour(one, counted, [text]).values == {"t": '"t"'}


@pytest.mark.parametrize(
    ("native", "sql"),
    [
        ("VARIANT", 'TO_JSON("c")'),
        ("OBJECT", 'TO_JSON("c")'),
        ("OBJECT(a NUMBER(38,0))", 'TO_JSON("c"::OBJECT)'),
        ("ARRAY(NUMBER(38,0))", 'TO_JSON("c"::ARRAY)'),
        ("MAP(VARCHAR(9), NUMBER(38,0))", 'TO_JSON("c"::OBJECT)'),
        ("VECTOR(FLOAT, 3)", 'TO_JSON("c"::ARRAY)'),
        ("DECFLOAT", 'TO_VARCHAR("c")'),
        ("INTERVAL DAY TO SECOND", 'TO_VARCHAR("c")'),
        ("NUMBER(4,0)", '"c"'),
    ],
)
def test_types_that_arrow_has_no_word_for_are_read_as_text(native, sql):
    snowflake = dialect("snowflake")
    assert snowflake.select_expression(snowflake.column_from_catalog("c", native)) == sql


class Result:
    """A cursor whose Arrow timestamps behave as the driver's: forced to microseconds it cuts."""

    def __init__(self, *tables):
        self.tables = tables

    def cursor(self):
        return self

    def execute(self, sql):
        pass

    def fetch_arrow_batches(self, *, force_microsecond_precision):
        for table in self.tables:
            if isinstance(table, Exception):
                raise table
            yield (
                table.cast(pa.schema([("at", pa.timestamp("us"))]), safe=False)
                if (force_microsecond_precision)
                else table
            )


@pytest.mark.parametrize(
    ("arrived", "unit"),
    [
        (pa.table({"at": pa.array([1_001], pa.timestamp("ns"))}), "us"),
        (pa.table({"at": pa.array([dt.datetime(9999, 12, 31)], pa.timestamp("us"))}), "ns"),
        (OverflowError("nanosecond part"), "ns"),
    ],
)
def test_no_timestamp_is_cut_and_none_is_tried_again(arrived, unit):
    one = SnowflakeDatabase(fake())
    column = Column("at", Kind.TIMESTAMP, pa.timestamp(unit), precision=9)
    with pytest.raises(UnrepresentableValue, match="column at"):
        list(one.stream(Result(arrived), "SELECT 1", [column]))


def test_the_end_of_time_is_read_in_microseconds():
    """Where no value is finer the driver gives microseconds by itself."""
    end = dt.datetime(9999, 12, 31)
    arrived = pa.table({"at": pa.array([end], pa.timestamp("us"))})
    column = Column("at", Kind.TIMESTAMP, pa.timestamp("us"), precision=6)
    (found,) = SnowflakeDatabase(fake()).stream(Result(arrived), "SELECT 1", [column])
    assert found.column("at").to_pylist() == [end]


class Raw:
    def __init__(self):
        self.said = []

    def cursor(self):
        return self

    def is_closed(self):
        return False

    def execute(self, sql):
        self.said.append(sql)

    def close(self):
        self.said.append("closed")


def test_without_the_right_to_make_a_stage_files_lie_on_the_users_own_until_the_session_ends(tmp_path):
    from hdm.connectors.snowflake.staging import Staging

    one, session = SnowflakeDatabase(fake()), Session(Raw(), "t")
    asked = []

    def run(connection, sql, values=()):
        asked.append(sql)
        if "STAGE" in sql:
            raise UsageError("003001")
        return [("", "", "", "", "", "", "UPLOADED")]

    one.run = run
    assert one.load_stage(session, ("OTHER", "PLACE", "T")) == "@~"
    assert asked[0].startswith('CREATE TEMPORARY STAGE "OTHER"."PLACE"."_hdm_load_')
    with Staging(one, session, "@~") as staging:
        (tmp_path / "1.parquet").write_bytes(b"x")
        staging.put(tmp_path / "1.parquet", 1, "parquet")
    session.close()
    assert session.raw.said == [f"REMOVE @~/{staging.prefix}/", "closed"]


def test_a_reading_session_makes_no_stage():
    one = SnowflakeCopySink(SnowflakeCopySink.Config(table_name="t"), fake(), name="t")
    session = Session(Raw(), "t")
    one.database.begin(session, write=True)
    assert session.raw.said == [] and session.stage == ""


def test_places_with_blanks_are_quoted():
    one = SnowflakeDatabase(fake())
    assert place(one, '@"D"."S"."TMP"/hdm/a.1') == '@"D"."S"."TMP"/hdm/a.1'
    assert place(one, '@"D"."S"."my stage"/it\'s') == '\'@"D"."S"."my stage"/it\'\'s\''


@pytest.mark.parametrize(
    ("number", "state", "kind"),
    [
        (625, "57014", Throttled), (615, "40001", Deadlock), (604, "57014", TransientError),
        (90106, "22000", UsageError), (390318, "08001", UsageError), (394302, "08001", UsageError),
        (2002, "42710", PermanentError), (99999, "42601", PermanentError), (99999, "42501", UsageError),
        (99999, "22018", RejectedRows), (99999, "XX000", TransientError), (99999, None, PermanentError),
    ],
)  # fmt: skip
def test_only_what_may_pass_is_tried_again(number, state, kind):
    from snowflake.connector.errors import ProgrammingError

    found = dialect("snowflake").classify(ProgrammingError(msg="x", errno=number, sqlstate=state))
    assert isinstance(found, kind)
    assert isinstance(found, TransientError) == issubclass(kind, TransientError)


def test_a_token_needs_no_further_word():
    assert arguments(fake(token="t"), "x")["authenticator"] == "oauth"
    named = fake(token="t", authenticator="programmatic_access_token")
    assert arguments(named, "x")["authenticator"] == "programmatic_access_token"
    assert "authenticator" not in arguments(fake(password="p"), "x")


def test_each_way_to_log_in_is_what_the_profile_implies():
    nobody = {"user": None}
    for given, way in [
        ({"workload_identity_provider": "aws", **nobody}, "workload_identity"),
        ({"oauth_client_id": "i", "oauth_client_secret": "s", **nobody}, "oauth_client_credentials"),
        ({"authenticator": "externalbrowser"}, "externalbrowser"),
        ({"authenticator": "username_password_mfa", "password": "p"}, "username_password_mfa"),
        ({"authenticator": "https://x.okta.com/Login", "password": "p"}, "https://x.okta.com/Login"),
    ]:
        made = arguments(fake(**given), "x")
        assert made["authenticator"] == way
        asks = way in ("externalbrowser", "username_password_mfa")
        assert made.get("client_store_temporary_credential", False) is asks, "else each session asks anew"
    made = arguments(fake(workload_identity_provider="oidc", token="t", **nobody), "x")
    assert (made["workload_identity_provider"], made["token"], "user" in made) == ("OIDC", "t", False)
    made = arguments(fake(oauth_client_id="i", oauth_client_secret="s", oauth_scope="r", **nobody), "x")
    assert (made["oauth_client_secret"], made["oauth_scope"]) == ("s", "r")
    made = arguments(fake(password="p", passcode="123456", secondary_roles="none"), "x")
    assert (made["passcode"], made["secondary_roles"], "authenticator" in made) == ("123456", "none", False)


def test_the_connector_knows_every_argument_that_it_is_given():
    from snowflake.connector.connection import DEFAULT_CONFIGURATION
    from snowflake.connector.wif_util import AttestationProvider

    given = {"password": "p", "passcode": "1", "token": "t", "role": "R", "oauth_client_id": "i",
             "oauth_client_secret": "s", "oauth_scope": "x", "oauth_token_request_url": "https://t",
             "oauth_authorization_url": "https://a", "workload_identity_provider": "azure",
             "workload_identity_entra_resource": "e", "secondary_roles": "all",
             "authenticator": "externalbrowser", "private_key_path": "/k"}  # fmt: skip
    made = arguments(fake(**given), "x")
    assert set(made) <= {*DEFAULT_CONFIGURATION, "authenticator"}
    for name in ("aws", "azure", "gcp", "oidc"):
        word = arguments(fake(workload_identity_provider=name), "x")["workload_identity_provider"]
        assert isinstance(AttestationProvider.from_string(word), AttestationProvider)


def test_a_key_may_be_given_as_text_and_a_user_must_be_named_where_one_is_needed():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(*form, serialization.BestAvailableEncryption(b"phrase")).decode()
    made = arguments(fake(private_key=pem, private_key_passphrase="phrase"), "x")
    again = serialization.load_der_private_key(made["private_key"], None)
    assert again.private_numbers() == key.private_numbers()
    assert made["authenticator"] == "SNOWFLAKE_JWT" and "private_key_file_pwd" not in made
    for wrong in ({"private_key": pem}, {"private_key": "no key"}):
        with pytest.raises(UsageError, match="private_key is not the text") as caught:
            arguments(fake(**wrong), "x")
        assert "BEGIN ENCRYPTED" not in str(caught.value)
    for wrong, said in [
        ({"user": None, "password": "p"}, "user is missing"),
        ({"private_key": pem, "private_key_path": "/k"}, "not both"),
        ({"workload_identity_provider": "ibm"}, "workload_identity_provider"),
    ]:
        with pytest.raises(ValueError, match=said):
            fake(**wrong)


def test_a_text_without_a_bound_gets_the_greatest_length():
    """VARCHAR without a length takes 16 MB, BINARY 8 MB: a longer value was refused."""
    sql = dialect("snowflake")
    for kind, kept, length, native in [
        (Kind.TEXT, pa.string(), None, "VARCHAR(134217728)"),
        (Kind.TEXT, pa.string(), 20_000_000, "VARCHAR(20000000)"),
        (Kind.TEXT, pa.string(), 2_000_000_000, "VARCHAR(134217728)"),
        (Kind.JSON, pa.string(), None, "VARCHAR(134217728)"),
        (Kind.BINARY, pa.binary(), None, "BINARY(67108864)"),
        (Kind.BINARY, pa.binary(), 20, "BINARY(20)"),
    ]:
        stored = sql.stored(Column("c", kind, kept, length=length)).native
        assert stored == native
        back = sql.column_from_catalog("c", native)
        assert back.length == (length if native.endswith(f"({length})") else None)


def test_sessions_pin_what_an_account_may_have_set():
    made = arguments(fake(), "x")["session_parameters"]
    for name, value in {
        "ROWS_PER_RESULTSET": 0, "QUOTED_IDENTIFIERS_IGNORE_CASE": False, "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW", "ABORT_DETACHED_QUERY": True,
    }.items():  # fmt: skip
        assert made[name] == value and type(made[name]) is type(value)


def test_rows_are_read_back_from_what_merged(account):  # noqa: F811
    one = sink(account)
    write(one, chunk(), batch(1, 3))
    write(one, chunk(epoch=2), batch(3, name="new"), mode=Mode.MERGE)
    assert {row["Name"] for row in read(account)} == {"né🎈", "new"}


def test_masked_columns_are_not_taken_for_the_data(account, monkeypatch):  # noqa: F811
    write(sink(account), chunk(), batch(1))
    rows = SnowflakeDatabase.rows

    def masking(self, connection, sql):
        policy = {"Name": "D.S.HIDE"} if sql.startswith("DESCRIBE") else {}
        return [{**row, "policy name": policy.get(row.get("name"))} for row in rows(self, connection, sql)]

    monkeypatch.setattr(SnowflakeDatabase, "rows", masking)
    with pytest.raises(UsageError, match="masking policies stand on Name"):
        read(account)
    assert [int(row["id"]) for row in read(account, columns=["id"])] == [1]


def test_rows_that_a_policy_hides_are_not_taken_for_gone(account, monkeypatch):  # noqa: F811
    write(sink(account), chunk(), batch(1))
    run = SnowflakeDatabase.run

    def hiding(self, connection, sql, values=()):
        return [("ONLY_MINE",)] if "policy_references" in sql else run(self, connection, sql, values)

    monkeypatch.setattr(SnowflakeDatabase, "run", hiding)
    with pytest.raises(UsageError, match="row access policy ONLY_MINE"):
        read(account)
    home = f'"{account["database"]}"."PUBLIC"'
    asked = {"table_name": None, "query": f'SELECT "id" FROM {home}."orders"'}
    assert [int(row["id"]) for row in read(account, **asked)] == [1]


def test_a_view_is_not_asked_for_keys(account):  # noqa: F811
    write(sink(account), chunk(), batch(1))
    one = SnowflakeDatabase(profile(account))
    connection, said, rows = one.connect("t"), [], one.rows
    place = (account["database"], "PUBLIC")
    named = one.dialect.qualify((*place, "orders"))
    one.change(connection, f"CREATE VIEW {one.dialect.qualify((*place, 'seen'))} AS SELECT * FROM {named}")
    one.rows = lambda connection, sql: said.append(sql) or rows(connection, sql)
    assert len(one.find(connection, (*place, "seen")).columns) == len(TABLE.columns)
    assert not [sql for sql in said if "KEYS" in sql]
    assert one.find(connection, (*place, "orders")) and [sql for sql in said if "KEYS" in sql]
    connection.close()


def test_no_warehouse_works_to_look_whether_a_chunk_is_of_its_table(account, monkeypatch):  # noqa: F811
    """A SELECT from INFORMATION_SCHEMA starts a warehouse that sleeps; SHOW and DESCRIBE need none."""
    write(sink(account), chunk(), batch(1))
    one = SnowflakeSource(SnowflakeSource.Config(table_name="orders"), profile(account), name="s")
    table = one.describe()
    with one.snapshot() as token:
        (part,) = one.split(table, one.window(), JOB, token)
    assert part.relation and table.rows == 1
    said, execute = [], SnowflakeCursor.execute
    monkeypatch.setattr(
        SnowflakeCursor,
        "execute",
        lambda self, sql, *rest, **more: said.append(sql) or execute(self, sql, *rest, **more),
    )
    assert sum(found.num_rows for found in one.read(table, part).batches()) == 1
    assert [sql.split()[0] for sql in said] == ["DESCRIBE", "SHOW", "SELECT"], said
    assert not [sql for sql in said if "information_schema" in sql.lower()]
    described = [sql for sql in (said.clear(), one.describe(), said)[2] if "information_schema.tables" in sql]
    assert described == []


def test_a_table_of_the_same_name_is_not_the_table(account):  # noqa: F811
    write(sink(account), chunk(), batch(1))
    one = SnowflakeSource(SnowflakeSource.Config(table_name="orders"), profile(account), name="s")
    table = one.describe()
    with one.snapshot() as token:
        (part,) = one.split(table, one.window(), JOB, token)
    connection = one.database.connect("t", write=True)
    paths = [(*table.path[:-1], name) for name in ("orders", "other")]
    named, other = map(one.dialect.qualify, paths)
    one.database.run(connection, one.dialect.create_table(paths[1], table.columns, ()))
    one.database.run(connection, f"ALTER TABLE {named} SWAP WITH {other}")
    with pytest.raises(SourceChanged, match="replaced"):
        list(one.read(table, part).batches())
    one.database.run(connection, f"ALTER TABLE {named} SWAP WITH {other}")
    assert sum(found.num_rows for found in one.read(table, part).batches()) == 1
    one.database.run(connection, f"ALTER TABLE {named} ADD COLUMN more NUMBER(4,0)")
    with pytest.raises(SchemaDrift, match="not as it was when planned"):
        list(one.read(table, part).batches())
    one.database.run(connection, f"DROP TABLE {named}")
    with pytest.raises(UsageError, match="there is no table"):
        list(one.read(table, part).batches())
    connection.close()


def test_a_table_without_history_is_told_how_to_be_read():
    from snowflake.connector.errors import ProgrammingError

    found = dialect("snowflake").classify(ProgrammingError(msg="x", errno=707, sqlstate="02000"))
    assert "time_travel: false" in found.hint


@pytest.mark.parametrize(
    ("fact", "word"),
    [
        ("is_dynamic", "dynamic table"), ("is_external", "external table"), ("is_event", "event table"),
        ("is_iceberg", "Iceberg table"), ("is_hybrid", "hybrid table"),
        ("enable_schema_evolution", "ENABLE_SCHEMA_EVOLUTION"),
    ],
)  # fmt: skip
def test_only_standard_tables_are_written_to(account, monkeypatch, fact, word):  # noqa: F811
    """Under schema evolution a NULL takes the target's NOT NULL away."""
    one = sink(account)
    write(one, chunk(), batch(1))
    one.accepts(TABLE, Mode.APPEND)
    rows, name = SnowflakeDatabase.rows, TABLE.path[-1]

    def showing(self, connection, sql):
        found = rows(self, connection, sql)
        return (
            [{**row, fact: "Y" if row["name"] == name else "N"} for row in found]
            if "TABLES" in sql
            else found
        )

    monkeypatch.setattr(SnowflakeDatabase, "rows", showing)
    with pytest.raises(UsageError, match=word):
        one.accepts(TABLE, Mode.APPEND)
    sink(account, table_name="other").accepts(TABLE, Mode.APPEND)
