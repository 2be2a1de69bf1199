"""The page of faults is what the kinds say that the flows plant."""

from __future__ import annotations

from tests.flows import faults
from tests.flows.faults import FAULTS, NUMBER, SYSTEMS


def test_the_page_is_what_the_kinds_say() -> None:
    assert len(FAULTS) == len(NUMBER) == 40
    assert faults.PAGE.read_text("utf-8") == faults.page(), "run: python -m tests.flows.faults"


def test_a_kind_plants_another_value_and_names_its_columns() -> None:
    for fault in FAULTS:
        assert set(fault.cannot) <= set(SYSTEMS), fault.title
        assert set(fault.gets) == set(fault.causes), fault.title
        for column, value in fault.gets.items():
            assert repr(value) != repr(fault.had[column]), fault.title
        assert fault.gets or fault.named, fault.title
