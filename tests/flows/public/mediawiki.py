"""A wiki by MediaWiki itself, in SQLite: its installer makes the tables, its maintenance programs
write pages, files, users, blocks and logs.

Debian's ``mediawiki`` and PHP are unpacked under ``.servers/mediawiki``, not installed.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.servers import provision

PACKAGES = ("mediawiki", "mediawiki-classes")
PHP = ("php-cli", "php-intl", "php-mbstring", "php-sqlite3", "php-xml")
EXTENSIONS = "AbuseFilter,Cite,CategoryTree,Gadgets,Interwiki,OATHAuth,PageImages,ParserFunctions"
_MODULES = (
    "pdo", "pdo_sqlite", "sqlite3", "mbstring", "intl", "ctype", "dom", "xml", "simplexml", "xmlreader",
    "xmlwriter", "fileinfo", "iconv", "tokenizer", "posix",
)  # fmt: skip
_EDITS = (
    ("Template:Note", "Editor", "A note: '''{{{1|nothing}}}''' [[Category:Notes]]"),
    ("Handbook", "Editor", "{{Note|rēad 漢字 🙂}} [[Docs/title]] [[Missing]] [https://example.org/?b c]"),
    ("Handbook", "Robot", "{{Note|better}} [[Docs/Title|titles]] [[Category:Books]] [[File:Cc-0.png]]\n"
     "[[sister:Buch]] [[wikipedia:Manual|more]] <ref>One</ref>\n== Words ==\n* ''naïve''\n<references/>"),
    ("Category:Books", "Admin", "All books. [[Category:Everything]]"),
    ("Old handbook", "Admin", "#REDIRECT [[Handbook]]"),
    ("Talk:Handbook", "Editor", "Is it {{Note}}? -- ~~~~"),
)  # fmt: skip


class Wiki:
    """One installation of MediaWiki and what runs it."""

    def __init__(self, home: Path) -> None:
        self.home, self.root = home, home / "usr/share/mediawiki"
        self.data = home / "data"

    def run(self, script: str, *arguments: str | Path, said: str = "") -> None:
        """``php maintenance/SCRIPT.php ARGUMENTS`` with ``said`` as its input."""
        command = [*self.php(), self.root / "maintenance" / f"{script}.php", *arguments]
        own = {"MW_INSTALL_PATH": str(self.root), **provision.library_path(self.home / "usr")}
        if script != "install":
            own["MW_CONFIG_FILE"] = str(self.data / "LocalSettings.php")
        done = subprocess.run(
            list(map(str, command)), input=said, env={**os.environ, **own}, cwd="/",
            text=True, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"

    def php(self) -> Iterator[str | Path]:
        """The machine's own PHP, else the unpacked one, with the unpacked modules."""
        unpacked = sorted((self.home / "usr/bin").glob("php[0-9]*"))
        yield from ([unpacked[-1], "-n"] if unpacked else [shutil.which("php") or "php"])
        yield from ("-d", "memory_limit=512M")
        for name in _MODULES:
            for module in (self.home / "usr/lib/php").glob(f"2*/{name}.so"):
                yield from ("-d", f"extension={module}")

    def untied(self) -> None:
        """Debian's tree points at /etc and /var: here everything stays in its folder."""
        for name in ("LocalSettings.php", "config", "images", "extensions"):
            if (self.root / name).is_symlink():
                (self.root / name).unlink()
        (self.root / "extensions").symlink_to("extensions-core")
        shutil.rmtree(self.data, ignore_errors=True)
        (self.data / "images").mkdir(parents=True)

    def install(self) -> None:
        """Tables, the first user and the first page."""
        self.run(
            "install", "--dbtype", "sqlite", "--dbpath", self.data, "--dbname", "wiki",
            "--pass", "a long word of the admin", "--server", "http://localhost", "--scriptpath", "/w",
            "--confpath", self.data, "--extensions", EXTENSIONS, "A wiki", "Admin",
        )  # fmt: skip
        with (self.data / "LocalSettings.php").open("a", encoding="utf-8") as settings:
            settings.write("$wgEnableUploads = true; $wgUseImageMagick = false;\n")
            settings.write(f"$wgUploadDirectory = '{self.data / 'images'}';\n")

    def fill(self) -> None:
        """What a small wiki's people do."""
        self.run("createAndPromote", "--sysop", "--bureaucrat", "Editor", "a long word of the editor")
        self.run("createAndPromote", "--bot", "Robot", "a long word of the robot")
        self.run(
            "createBotPassword", "--appid", "feeds", "--grants", "basic", "Robot", "0123456789" * 3 + "ab"
        )
        pages = sorted((self.home / "usr/share/doc/mediawiki/docs").glob("*.md*"))
        texts = [self._plain(page) for page in pages]
        self.run("importTextFiles", "-u", "Editor", "-s", "as written", "--prefix", "Docs/", *texts)
        self.run("importImages", "--user", "Editor", "--comment", "pictures", self._pictures(), "png")
        for title, user, text in _EDITS:
            self.run("edit", "-u", user, "-s", f"on {title}", title, said=text)
        self.run("protect", "-u", "Admin", "-r", "often read", "Handbook")
        self.run("moveBatch", "-u", "Admin", self._list("moves", "Docs/Logger|Docs/Logging"))
        self.run("deleteBatch", "-u", "Admin", self._list("gone", "Docs/Language", "File:Cc-by.png"))
        self.run("blockUsers", "--performer", "Admin", "--reason", "too quick", self._list("blocks", "Robot"))
        self.run("addChangeTag", "--tag", "checked", "--reason", "read by two")
        self.run(
            "addSite", "--language", "de", "--pagepath", "https://example.org/wiki/$1",
            "--interwiki-id", "sister", "dewiki", "wikis",
        )  # fmt: skip
        for script in ("runJobs", "refreshLinks", "updateSpecialPages", "rebuildtextindex"):
            self.run(script)

    def comments(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Table -> what its makers say of it and of its columns, from their abstract schema."""
        found = json.loads((self.root / "maintenance/tables.json").read_text(encoding="utf-8"))
        return {
            one["name"]: (
                one.get("comment", ""),
                {c["name"]: c["comment"] for c in one["columns"] if c.get("comment")},
            )
            for one in found
        }

    def _plain(self, page: Path) -> Path:
        made = self.data / page.name.removesuffix(".gz")
        made.write_bytes(gzip.decompress(page.read_bytes()) if page.suffix == ".gz" else page.read_bytes())
        return made

    def _pictures(self) -> Path:
        return self.root / "resources/assets/licenses"

    def _list(self, name: str, *lines: str) -> Path:
        made = self.data / f"{name}.txt"
        made.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return made


def wiki() -> Wiki:
    """The installation, filled on first use; ``data/wiki.sqlite`` in it."""
    home = provision.unpacked("mediawiki", PACKAGES, PHP)
    made = Wiki(home)
    done, script = home / "filled.txt", Path(__file__).read_text(encoding="utf-8")
    with provision.once("mediawiki-database"):
        if not done.exists() or done.read_text(encoding="utf-8") != script:
            made.untied()
            made.install()
            made.fill()
            done.write_text(script, encoding="utf-8")
    return made


def make(place: Path) -> None:
    """A copy of the wiki's database."""
    with (
        closing(sqlite3.connect(wiki().data / "wiki.sqlite")) as kept,
        closing(sqlite3.connect(place)) as mine,
    ):
        kept.backup(mine)
