"""Waits grow twofold up to a bound, and are drawn: many that failed at once do not come again at once."""

from __future__ import annotations

import ast
import threading
import time
from pathlib import Path

import pytest

import hdm
from hdm.components import back_off
from hdm.components.back_off import BackOff
from hdm.errors import ConnectionLost, LeaseLost, TransientError
from hdm.files.stores.object_base import Download

POLICIES = {name: one for name, one in vars(back_off).items() if isinstance(one, BackOff)}
HDM = Path(hdm.__file__).parent
WAITS_FOR_SOMETHING = {
    "failpoints.py": "a test asked it to sleep",
    "connectors/bigquery/jobs.py": "a job has not ended yet",
    "components/silence.py": "the watching thread looks again",
    "runtime/rate_limit.py": "a batch is not due yet",
    "testing/leaks.py": "Arrow reads ahead in threads of its own",
}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits in seconds that were drawn, each as long as may be, and not slept."""
    slept: list[float] = []
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("times", [1, 2, 5, 40])
@pytest.mark.parametrize("name", POLICIES)
def test_a_wait_is_drawn_up_to_a_bound_that_doubles(name: str, times: int) -> None:
    policy = POLICIES[name]
    drawn = [policy.seconds(times) for _ in range(300)]
    most = min(policy.most, policy.first * 2 ** (times - 1))
    assert min(drawn) >= 0
    assert most / 2 < max(drawn) <= most
    assert len(set(drawn)) > 100


class Failing:
    """Fails so many times, each time with the next of the errors."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_what_may_pass_is_tried_again_with_growing_waits(waits: list[float]) -> None:
    act = Failing(*(TransientError(str(n)) for n in range(4)))
    assert BackOff(1.0, 4.0).run(act, TransientError, 5) == "done"
    assert (act.calls, waits) == (5, [1.0, 2.0, 4.0, 4.0])


def test_the_last_error_is_raised_after_so_many_tries(waits: list[float]) -> None:
    act = Failing(*(TransientError(str(n)) for n in range(4)))
    with pytest.raises(TransientError, match="2"):
        BackOff(1.0, 4.0).run(act, TransientError, 3)
    assert (act.calls, len(waits)) == (3, 2)


@pytest.mark.parametrize("error", [LeaseLost("x"), KeyboardInterrupt(), ConnectionLost("no")])
@pytest.mark.parametrize("earlier", [0, 1])
def test_what_cannot_pass_is_raised_at_once(waits: list[float], error: BaseException, earlier: int) -> None:
    act = Failing(*[ConnectionLost("yes")] * earlier, error)
    with pytest.raises(type(error)) as raised:
        BackOff(1.0, 4.0).run(act, ConnectionLost, 5, lambda one: one.message == "yes")
    assert raised.value is error
    assert (act.calls, len(waits)) == (1 + earlier, earlier)


def test_each_error_is_judged_once(waits: list[float]) -> None:
    """So that a judge may count them."""
    judged: list[str] = []
    act = Failing(TransientError("a"), TransientError("b"))
    assert BackOff(1.0, 4.0).run(act, TransientError, 5, lambda one: not judged.append(one.message)) == "done"
    assert judged == ["a", "b"]


def test_a_wait_for_a_system_ends_at_once_when_the_run_is_over() -> None:
    over, looks = threading.Event(), threading.Event()

    def look() -> bool:
        looks.set()
        return False

    waiting = threading.Thread(target=BackOff(3600.0, 3600.0).until, args=(look, over), daemon=True)
    waiting.start()
    assert looks.wait(60)
    over.set()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_system_is_looked_for_until_it_is_there() -> None:
    answers = [False, False, True, False]
    BackOff(0.0, 0.0).until(lambda: answers.pop(0), threading.Event())
    assert answers == [False]


def test_a_download_is_tried_five_times_in_a_row_and_then_anew(waits: list[float]) -> None:
    """Those it had before do not count once bytes have come."""
    opened: list[int] = []
    fails = [True] * 4 + [False] + [True] * 4 + [False] + [True] * 5

    class Body:
        def read(self, count: int) -> bytes:
            if fails.pop(0):
                raise TransientError("cut")
            return b"x"

        def close(self) -> None:
            pass

    def open_at(place: int) -> Body:
        opened.append(place)
        return Body()

    stream = Download(10, open_at)
    assert (stream.read(1), stream.read(1)) == (b"x", b"x")
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6] * 2)
    with pytest.raises(TransientError):
        stream.read(1)
    assert opened == [0] * 5 + [1] * 4 + [2] * 4
    assert fails == []


def test_nothing_else_sleeps_or_draws_a_wait() -> None:
    """A loop that sleeps after a failure belongs to a policy; the others here wait for something."""
    found = {}
    for file in sorted(HDM.rglob("*.py")):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        names = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
        if names & {"time.sleep", "sleep", "random.uniform", "uniform"}:
            found[file.relative_to(HDM).as_posix()] = names
    assert found.keys() == WAITS_FOR_SOMETHING.keys()
