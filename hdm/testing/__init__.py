"""Conformance suites that ship with hdm: inherit one, give it a fixture or two, run pytest.

``SourceConformance``, ``SinkConformance``, ``StoreConformance`` and ``DialectConformance`` are
test classes. Every check is also a plain function (``hdm.testing.sources.check_...``), and for
each of them hdm's own tests hold a saboteur: a connector broken in that one way, which the
check must catch.
"""
