"""Pydantic models of a manifest whose older spellings of keys were converted to the present ones."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SkipValidation

from hdm.config.deprecated import NAME
from hdm.config.described import Described
from hdm.model import Mode

Conf = SkipValidation[dict[str, Any]]
"""A component's ``conf`` as it was read, with its places; the component's own ``Config`` validates it."""

SchemaPolicy = Literal["evolve", "freeze", "discard", "fail"]

OnDead = Literal["continue", "stop"]

ValidateLevel = Literal["none", "counts", "columns", "rows"]


def _version(value: object) -> object:
    return 1 if value in ("1", "1.0", 1.0) and not isinstance(value, bool) else value


Count = Annotated[int, Field(ge=1)]


class _Words(Described):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Component(_Words):
    """A source or a sink of a manifest: its type, name and ``conf``.

    Keys that stand beside ``type`` count as ``conf``.
    """

    name: Annotated[str, Field(min_length=1)]
    """Name of the component; a source with the name of an earlier sink reads what that sink stages."""
    type: Annotated[str, Field(min_length=1)]
    """Class name of the source or sink, in any spelling: ``PostgresSource`` or ``postgres_source``. ``hdm
    components`` lists them."""
    conf: Conf = Field(default_factory=dict)
    """Keys of the type, which ``hdm components TYPE`` lists; keys beside ``type`` count as part of ``conf``.
    """


class Service(_Words):
    """A manifest's orchestrator or state manager: its type and ``conf``."""

    type: Annotated[str, Field(min_length=1)]
    """Class name of the orchestrator or state manager, in any spelling; ``hdm components`` lists them."""
    name: str = ""
    """Name of the service in messages; left out, its type."""
    conf: Conf = Field(default_factory=dict)
    """Keys of the type, which ``hdm components TYPE`` lists; keys beside ``type`` count as part of ``conf``.
    """


class Limits(_Words):
    """The load that a link may put on its source: connections at once, rows and bytes per second."""

    connections: Count | None = None
    """Most chunks that are read from the source at once, in each process; left out, no bound."""
    rows_per_second: Count | None = None
    """Most rows a second that are read from the source, on average, in each process; left out, no bound."""
    bytes_per_second: Count | None = None
    """Most bytes a second, as rows stand in memory, that are read from the source, on average, in each
    process; left out, no bound."""


class CheckWords(_Words):
    """A check that a link's rows must pass: its type, and the keys of that type."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: Annotated[str, Field(min_length=1)]
    """Class name of the check, in any spelling: ``NotNull``, ``Unique``, ... or a plugin's; ``hdm
    components`` lists them. The check's own keys stand beside ``type``.
    """


class WatermarkWords(_Words):
    """The ordered column (cursor) that selects only new rows in each run, with its options."""

    column: str
    """Names the column whose later rows have greater values: a whole number, decimal, date or timestamp, or
    what ``order`` vouches for."""
    offset: str | int | float | None = None
    """In mode ``merge``, reads again the rows down to this distance below the watermark: a number, or a
    duration such as ``15m``, ``2h`` or ``1d``. Left out, none.
    """
    lag: str | int | None = None
    """Leaves rows to a later run that lie so near to the greatest value: a number, or a duration such as
    ``15m``; a bare number of a timestamp counts seconds, of a date days. Left out, none."""
    order: Literal["monotone"] | None = None
    """``monotone`` vouches for a text, float or time of day: every later row has a greater value, as the
    database compares them. Left out, such columns are refused."""
    max: str | int | float | date | None = None
    """Rows with a greater value are moved once and never become the watermark. Left out: NaN, infinity, the
    type's largest number, and what lies over two days ahead."""
    zone: Literal["utc"] | None = None
    """``utc`` vouches that every session stamps a MySQL or MariaDB DATETIME in UTC. Left out, new rows may
    wait up to twelve hours while others write."""


class ChunkWords(_Words):
    """How many rows or bytes a chunk may have."""

    rows: Count | None = None
    """About how many rows one chunk holds at most; left out, as the source's type says."""
    bytes: Count | str | None = None
    """About how many bytes one chunk holds at most; left out, as the source's type says."""


class AcceptWords(_Words):
    """Which differences of one column count as none when a target is compared with its source."""

    trailing_blanks: bool = False
    """Blanks at the end of a text do not count; left out, they do."""
    empty_is_null: bool = False
    """An empty text equals NULL; left out, it does not."""
    zero_sign: bool = False
    """-0.0 equals 0.0 in a float; left out, it does not."""
    seconds: Annotated[int, Field(ge=0, le=9)] | None = None
    """How many fractional digits of seconds are compared, the rest is cut on both sides; left out, all."""
    tolerance: Decimal | None = Field(default=None, ge=0)
    """Greatest difference of two numbers that counts as none; left out, zero."""
    values: dict[str, str] = Field(default_factory=dict)
    """Values of the source, as text -> the target's value that stands for it, such as ``ACTIVE: "1"``; left
    out, each stands for itself."""


class ValidateWords(_Words):
    """How a link's target is compared with its source, by ``hdm validate`` and at the end of a run."""

    level: ValidateLevel = "rows"
    """``counts`` compares numbers of rows, ``columns`` also NULLs, least, greatest, sum and distinct values
    of each column, ``rows`` every value; ``none`` compares nothing."""
    key: list[str] | None = None
    """Names the columns, as the link gives them, that tell rows apart; left out, the primary key, or none:
    rows are then compared as they are."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Columns that the target calls otherwise, ``name: name in the target``; left out, the names are equal
    but for their case."""
    exclude: list[str] = Field(default_factory=list)
    """Columns that are not compared; left out, all are. The result says so."""
    accept: dict[str, AcceptWords] = Field(default_factory=dict)
    """Differences that count as none, ``column: {rule: ...}``; left out, none. The result says so."""


class Link(_Words):
    """A data link of a manifest: a source, a sink, and what happens to the rows between them."""

    source: Component
    """Where rows are read: ``{name, type, conf}``."""
    sink: Component
    """Where rows are written: ``{name, type, conf}``."""
    type: str = "DataLink"
    """Class name of a plugin's ``DataLink``, whose ``transform`` is Python; ``DataLink`` itself changes no
    row."""
    name: str | None = Field(default=None, deprecated=NAME)
    """Has no effect, and is taken so that older manifests still work: each run says so."""
    mode: Mode | None = None
    """``append`` adds rows, ``replace`` puts them in the place of all others, ``merge`` goes by key, ``sync``
    compares and changes the rows that differ. May stand in the sink's conf; left out, ``append``."""
    max_deletes: int | str | None = None
    """In mode ``sync``, most rows that one run deletes from the target: a number, or a part such as ``1%``;
    left out, none. If more would have to be, nothing is changed."""
    transform: str | None = None
    """One DuckDB ``SELECT ... FROM batch`` that maps and filters single rows; left out, rows go on as they
    are."""
    checks: list[CheckWords] = Field(default_factory=list)
    """Rules that hold while rows pass, each ``{type, ...}``; left out, none."""
    watermark: WatermarkWords | None = None
    """Reads only what is new since the last run: ``{column, ...}``. May stand in the source's conf; left out,
    the whole table is read."""
    chunk: ChunkWords | Count | None = None
    """How large a chunk may be: ``{rows, bytes}``, or for files a number of rows. May stand in the source's
    conf; left out, as its type says."""
    schema_policy: SchemaPolicy = "fail"
    """What to do where the source's columns changed since the last run: ``fail`` stops the run, ``freeze``
    leaves the table, ``discard`` its new columns, ``evolve`` adds them."""
    quarantine: Service | None = None
    """Where rows are set aside that a check of ``severity: quarantine`` takes out or the target refuses:
    a file sink, ``{type, conf}``. Left out, a row that the target refuses makes its chunk dead."""
    on_dead: OnDead = "continue"
    """Whether a table with a watermark goes on past its dead chunks (``continue``) or waits for them
    (``stop``)."""
    site: str | None = None
    """Only workers that are started with this ``--site``, or with none, carry the link; left out, all do."""
    limits: Limits | None = None
    """What may be taken from the source: ``{connections, rows_per_second, bytes_per_second}``; left out, no
    bounds."""
    allow_loss: bool | list[str] = False
    """Accepts, and records, that values are lost as declared: ``true``, or the names of the columns."""
    threads: Count | None = None
    """Most chunks of this source and sink that are carried at once, in each process; left out, as many as
    there are workers."""
    union: bool | list[str] = False
    """Says that other links write into the same table: ``true`` with a ``transform`` that marks the rows, or
    columns whose values no two links share."""
    proof: ValidateLevel | ValidateWords | None = Field(default=None, alias="validate")
    """How the target is compared with the source when a run has moved all: ``none``, ``counts``, ``columns``,
    ``rows``, or ``{level, key, columns, exclude, accept}``. Left out, only each chunk's rows are counted."""


class Batch(_Words):
    """A ``batch_definition``: the scenarios that fill a template, each of which makes one link."""

    source_name: Annotated[str, Field(min_length=1)]
    """Names the template's source or sink in whose conf a scenario also replaces what is written; ``<<...>>``
    is filled in both."""
    scenarios: SkipValidation[list[dict[str, Any]]]
    """One mapping of values for each link to make; ``<<template>>`` takes the value at the same path of
    keys."""
    threads: Count | None = None
    """Most chunks of the batch that are carried at once, in each process; overrides the template's
    ``threads``."""


class Template(Link):
    """A link with placeholders ``<<...>>``, filled by ``batch_definition`` or the source's catalogue."""

    batch_definition: Batch | None = None
    """What the template is filled with, one link for each scenario; left out, the ``AutoBatchOrchestrator``
    takes the catalogue's tables."""


class ManifestWords(_Words):
    """A whole manifest, with every key that may stand at its top."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = 1
    """Version of the manifest's language; 1 is the only one."""
    name: str | None = None
    """Says what reports call the manifest; left out, the file's name."""
    description: str | None = None
    """A text for people who read the manifest; hdm ignores it."""
    orchestrator: Service | None = None
    """Which orchestrator runs the links: ``{type, name, conf}`` or the type alone. Left out,
    ``BatchOrchestrator`` if there are templates, else ``DeclaredOrchestrator``."""
    state_manager: Service | None = None
    """Where the state database lies: ``{type, name, connection}``; left out, a SQLite file in hdm's own
    folder."""
    template_data_links: list[Template] = Field(default_factory=list)
    """Links with ``<<...>>`` in them that a batch fills, as a list or below ``templates``."""
    declared_data_links: list[Link] = Field(default_factory=list)
    """Links that are written out, as a list or below ``stages``."""
    plugins: list[str] = Field(default_factory=list)
    """Modules to import for the classes that they register; left out, none."""
