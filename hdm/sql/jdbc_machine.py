"""Starts the one Java virtual machine of the process, and loads JDBC drivers from their jars.

Each set of jars has a class loader of its own, so that a driver can be loaded after the machine has started,
and two versions of one driver do not meet. The machine leaves signals to Python (``-Xrs``), has UTC as its
zone, and takes other options from the environment variable ``JAVA_TOOL_OPTIONS``. JPype:
https://jpype.readthedocs.io/en/latest/userguide.html
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hdm.errors import ConnectionLost, MissingDriver, PermanentError, UsageError

_OPTIONS = ("-Xrs", "-Duser.timezone=UTC", "-Dfile.encoding=UTF-8", "-Djava.awt.headless=true")
_lock = threading.Lock()
_started_in: int | None = None
"""The id of the process that started the machine."""


def java() -> Any:
    """Start the Java virtual machine if this process has none; return the module ``jpype``.

    Raises ``MissingDriver`` without JPype or a Java runtime, ``PermanentError`` in a process that was forked
    from one with a machine.
    """
    global _started_in  # noqa: PLW0603 -- a process has one machine, which cannot be started again
    try:
        import jpype
        import jpype.config
    except ImportError:
        raise MissingDriver("JPype is not installed", hint="pip install 'hdm[jdbc]'") from None
    with _lock:
        if _started_in is None and jpype.isJVMStarted():
            if not isinstance(jpype.JClass("java.lang.String").valueOf(True), str):
                raise PermanentError(
                    "this process has a Java virtual machine that returns no Python texts",
                    hint="start it with convertStrings=True, or leave that to the first connection",
                )
            _started_in = os.getpid()
        if _started_in is None:
            _start(jpype)
            _started_in = os.getpid()
        if _started_in != os.getpid():
            raise PermanentError(
                "a Java virtual machine does not outlive a fork",
                hint="start worker processes by spawn, or fork before the first connection by JDBC",
            )
    return jpype


def _start(jpype: Any) -> None:
    jpype.config.destroy_jvm = False  # a thread of a driver must not keep the process from its end
    try:
        jpype.startJVM(*_OPTIONS, convertStrings=True, interrupt=False)
    except (jpype.JVMNotFoundException, jpype.JVMNotSupportedException, OSError) as error:
        raise MissingDriver(
            f"no Java runtime was found ({type(error).__name__})",
            hint="install a Java runtime (11 or later), or set JAVA_HOME",
        ) from None


@cache
def driver(name: str, jars: tuple[str, ...]) -> Any:
    """Load the driver class ``name`` from its jars, and return a new ``java.sql.Driver``.

    Raises ``UsageError`` if a jar is not there or the class is in none of them.
    """
    for jar in jars:
        if not Path(jar).is_file():
            raise UsageError(
                f"there is no driver jar {jar}", hint="correct driver: {name, path} in the profile"
            )
    jpype = java()
    urls = [jpype.JClass("java.io.File")(str(Path(jar).resolve())).toURI().toURL() for jar in jars]
    loader = jpype.JClass("java.net.URLClassLoader")(
        urls, jpype.JClass("java.lang.ClassLoader").getPlatformClassLoader()
    )
    try:
        found = jpype.JClass("java.lang.Class").forName(name, True, loader)
        made = found.getDeclaredConstructor().newInstance()
    except jpype.JException as error:
        thrown = str(error.getClass().getName())
        raise UsageError(
            f"the JDBC driver {name} cannot be loaded from {', '.join(jars) or 'no jar'} ({thrown})",
            hint="driver: {name, path} names the class, and the jar that holds it with what it needs",
        ) from None
    if not isinstance(made, jpype.JClass("java.sql.Driver")):
        raise UsageError(f"{name} is no JDBC driver", hint="write the driver's class as driver: {name}")
    return made


def connect(name: str, jars: Sequence[str], url: str, properties: dict[str, str]) -> Any:
    """Open and return a ``java.sql.Connection``; the driver's own exceptions pass through.

    Raises ``UsageError`` if the driver does not take the URL, whose text is never shown.
    """
    jpype = java()
    given = jpype.JClass("java.util.Properties")()
    for key, value in properties.items():
        given.setProperty(key, value)
    opened = driver(name, tuple(jars)).connect(url, given)
    if opened is None:
        raise UsageError(f"the JDBC driver {name} does not take this url", hint="correct url: in the profile")
    if opened.isClosed():
        raise ConnectionLost(f"{name} returned a closed connection")
    return opened
