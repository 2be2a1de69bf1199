"""Sends many SFTP requests before it waits for the first answer, and waits for every answer.

paramiko's own ways lose the answer to a refused write, or read by threads of their own. Requests:
https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, BinaryIO

from hdm import failpoints
from hdm.files.stores.object_base import MIB, Check

_BLOCK = 256 * 1024
_CHECK_EACH = 16 * MIB
_UNKNOWN = re.compile(r"unsupport|not support|not implement", re.IGNORECASE)


def write_all(sftp: Any, path: str, stream: BinaryIO, size: int, check: Check) -> None:
    """Write a new file; raise an error if the server has refused any part of it."""
    sent = 0
    with sftp.open(path, "wx") as file:
        file.set_pipelined(True)
        failpoints.point("U1")
        while block := stream.read(_BLOCK):
            if sent % _CHECK_EACH == 0:
                check()
            sent += len(block)
            if sent >= size:
                # The last write waits for the answers to all: without it, a refused one would go unseen.
                file.set_pipelined(False)
            file.write(block)
        _sync(sftp, file)


def _sync(sftp: Any, file: Any) -> None:
    """Have the server make the bytes durable, if it knows the extension fsync@openssh.com."""
    from paramiko.sftp import CMD_EXTENDED

    try:
        sftp._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)  # paramiko has no method for it
    except OSError as error:
        if error.errno is not None or not _UNKNOWN.search(str(error)):
            raise


class _Answers:
    """Collects the answers to requests; paramiko calls ``_async_response`` with each, in any order."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[int, Any]] = {}

    def _async_response(self, kind: int, message: Any, number: int) -> None:
        self.found[number] = (kind, message)


def read_many(sftp: Any, handle: bytes, asked: Sequence[tuple[int, int]]) -> bytes:
    """Return the bytes of adjoining ranges of a file, ``(offset, length)``; fewer at the end of the file.

    All ranges are asked for at once. Raises ``OSError`` if the server refuses one.
    """
    from paramiko.sftp import CMD_DATA, CMD_READ, SFTPError, int64

    answers = _Answers()
    numbers = [sftp._async_request(answers, CMD_READ, handle, int64(at), size) for at, size in asked]
    while len(answers.found) < len(numbers):
        sftp._read_response()
    blocks: list[bytes] = []
    for number, (_, size) in zip(numbers, asked, strict=True):
        kind, message = answers.found[number]
        if kind != CMD_DATA:
            try:
                sftp._convert_status(message)
            except EOFError:
                break
            raise SFTPError("no data and no error")
        blocks.append(message.get_string())
        if len(blocks[-1]) < size:
            break
    return b"".join(blocks)
