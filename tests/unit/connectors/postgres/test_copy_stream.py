"""COPY IN keeps pace with the server, and keeps nobody waiting but its own thread."""

import contextlib
import threading
import time

import psycopg
import pytest

from hdm.connectors.postgres.copy_stream import CopyIn

SLOW = """
CREATE TABLE slow (a int, b text);
CREATE FUNCTION sleepy() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN IF NEW.a = 1 THEN PERFORM pg_sleep(3); END IF; RETURN NEW; END$$;
CREATE TRIGGER t BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION sleepy();
"""
WIDE = b"2," + b"x" * 1_000_000 + b"\n"


@pytest.fixture
def slow(fresh_postgres):
    with contextlib.closing(psycopg.connect(fresh_postgres().dsn, autocommit=True)) as connection:
        connection.execute(SLOW)
        yield connection


def longest_wait_of_others(act):
    """Seconds for which a thread that only wants to count could not."""
    over, gaps = threading.Event(), [0.0]

    def count():
        last = time.monotonic()
        while not over.wait(0.01):
            now = time.monotonic()
            gaps[0] = max(gaps[0], now - last)
            last = now

    other = threading.Thread(target=count)
    other.start()
    try:
        act()
    finally:
        over.set()
        other.join()
    return gaps[0]


def test_other_threads_go_on_while_the_server_works(slow):
    copy = CopyIn(slow, psycopg, "slow", "csv", contextlib.nullcontext)
    copy.put(b"1,x\n" + b"2,y\n" * 10)
    rows = []
    assert longest_wait_of_others(lambda: rows.append(copy.end())) < 1.5
    assert rows == [11]


def test_no_more_is_sent_than_the_server_and_the_sockets_take(slow):
    copy, sent = CopyIn(slow, psycopg, "slow", "csv", contextlib.nullcontext), []

    def send():
        copy.put(b"1,x\n")
        for _ in range(60):
            copy.put(WIDE)
            sent.append(len(WIDE))

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(1.5)
    assert sum(sent) < 40_000_000, "all of it waits in libpq's memory"
    sender.join()
    assert copy.end() == 61


def test_a_block_of_any_size_arrives_whole(slow):
    copy = CopyIn(slow, psycopg, "slow", "csv", contextlib.nullcontext)
    copy.put(WIDE * 30)
    assert copy.end() == 30
    assert slow.execute("SELECT count(*), min(length(b)), max(length(b)) FROM slow").fetchone() == (
        30,
        1_000_000,
        1_000_000,
    )


def test_what_the_server_refuses_is_raised(slow):
    copy = CopyIn(slow, psycopg, "slow", "csv", contextlib.nullcontext)
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        for _ in range(30):
            copy.put(b"no number,x\n" * 50_000)
        copy.end()
