"""Test classes for components of your own: inherit one, give it a fixture or two, run pytest.

They are ``SourceConformance``, ``SinkConformance``, ``CheckConformance``, ``StoreConformance``,
``DialectConformance`` and (in ``hdm.testing.catalogs``) ``CatalogConformance``. Every check is also a plain
function (``hdm.testing.sources.check_...``). For each function, hdm's own tests have a connector that is
broken in just this way, and that the function must find. A check that a connector cannot pass is listed in
the test class's ``gaps``, with the reason; a listed check that passes is an error, too.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"hdm.testing.{name}"
        for name in ("catalogs", "checks", "dialects", "leaks", "sinks", "sources", "stores")
    )
)

from hdm.testing.checks import CheckConformance  # noqa: E402 -- after the rewriting is set up
from hdm.testing.dialects import DialectConformance  # noqa: E402
from hdm.testing.rows import as_rows, awkward_batch, awkward_table, sorted_rows  # noqa: E402
from hdm.testing.sinks import ReadBack, SinkConformance  # noqa: E402
from hdm.testing.sources import SourceConformance  # noqa: E402
from hdm.testing.stores import StoreConformance  # noqa: E402

__all__ = [
    "CheckConformance",
    "DialectConformance",
    "ReadBack",
    "SinkConformance",
    "SourceConformance",
    "StoreConformance",
    "as_rows",
    "awkward_batch",
    "awkward_table",
    "sorted_rows",
]
