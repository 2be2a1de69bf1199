"""SFTP: host keys are known or refused, files appear once and whole, no secret is shown."""

import logging
import os
import socket
import sys
import threading
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from hdm.connectors.sftp import SFTPProfile, SFTPSink, SFTPSource
from hdm.errors import ConnectionLost, CorruptFile, LeaseLost, MissingDriver, TransientError, UsageError
from hdm.files.stores.object_base import Upload
from hdm.files.stores.sftp import SFTPStore
from tests.servers.process import HOST, Server, answers, folder, free_port
from tests.servers.proxy import Proxy
from tests.servers.sshd import new_key

MIB = 1024 * 1024


def upload(store, key, body, **more):
    path = store.scratch(key)
    path.write_bytes(body)
    return store.put_new(key, path, **more)


def content(store, key):
    with store.open(key) as stream:
        return stream.read()


@pytest.fixture
def directory(sshd_server):
    return sshd_server.fresh()


@pytest.fixture
def make(sshd_server, directory):
    def sink(profile=None, **config):
        words = {**sshd_server.profile, **(profile or {})}
        profile = SFTPProfile(**{name: value for name, value in words.items() if value is not None})
        return SFTPSink(SFTPSink.Config(directory=directory, **config), profile, name="sftp_stg")

    return sink


# -- files ----------------------------------------------------------------------------


def test_large_files_come_back_and_names_are_taken_once(make, directory):
    store, body = make().store, os.urandom(MIB) * 3 + b"tail"
    assert upload(store, "a/b", body).size == len(body)
    assert content(store, "a/b") == body
    with pytest.raises(FileExistsError):
        upload(store, "a/b", body[:-1])
    assert Path(directory, "a/b").read_bytes() == body
    assert [path.name for path in Path(directory, "a").iterdir()] == ["b"]


def test_rename_refuses_a_name_that_is_taken_and_the_extension_does_not(make, directory):
    """Why SSH_FXP_RENAME is used, and posix-rename@openssh.com is not."""
    for name in ("one", "two"):
        Path(directory, name).write_text(name)
    with make().store.sessions.use("rename", "here") as sftp:
        with pytest.raises(OSError, match="Failure"):
            sftp.rename(f"{directory}/one", f"{directory}/two")
        assert Path(directory, "two").read_text() == "two"
        sftp.posix_rename(f"{directory}/one", f"{directory}/two")
    assert Path(directory, "two").read_text() == "one"


def test_the_second_of_two_uploads_at_once_changes_nothing(make):
    store, other, calls = make().store, make().store, []

    def check():
        calls.append(1)
        if len(calls) == 3:  # the file is measured, the upload has begun
            upload(other, "a", b"theirs")

    with pytest.raises(FileExistsError):
        upload(store, "a", b"mine", check=check)
    assert len(calls) >= 3 and content(store, "a") == b"theirs"
    assert store.abort_uploads("a") == 0 or not store.scratch("a").exists()


def test_a_server_whose_rename_overwrites_is_refused_or_looked_at_first(make, monkeypatch):
    monkeypatch.setattr(SFTPStore, "_known", {})
    monkeypatch.setattr(paramiko.SFTPClient, "rename", paramiko.SFTPClient.posix_rename)
    with pytest.raises(UsageError, match="overwrites a file") as caught:
        make().store.put_new("a", b"x")
    assert "create_once: check" in caught.value.hint
    store = make(create_once="check").store
    store.put_new("a", b"first")
    with pytest.raises(FileExistsError):
        store.put_new("a", b"second")
    assert content(store, "a") == b"first"


def test_a_lost_lease_leaves_no_file(make, directory):
    store, calls = make().store, []

    def check():
        calls.append(1)
        if len(calls) == 2:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        upload(store, "a/b", b"x" * MIB, check=check)
    assert list(Path(directory, "a").iterdir()) == []


def test_what_a_cut_connection_leaves_is_taken_up(make, sshd_server, directory):
    way = Proxy(sshd_server.port)
    try:
        store, calls = make({"port": way.port}).store, []
        store.ready()

        def check():
            calls.append(1)
            if len(calls) == 3:
                way.refuse()

        with pytest.raises(TransientError):
            upload(store, "a/b", b"x" * (40 * MIB), check=check)
        way.allow()
        assert [path.suffix for path in Path(directory, "a").iterdir()] == [".tmp"]
        assert list(store.list("a/")) == [] and store.stat("a/b") is None
        store.scratch("a/b").unlink(missing_ok=True)
        assert store.abort_uploads("a/b") == 1
        assert list(Path(directory, "a").iterdir()) == []
    finally:
        way.refuse()


def test_what_a_dead_attempt_left_goes_with_it_and_nothing_of_another(make, directory):
    store, folder = make().store, Path(directory, "t")
    folder.mkdir()
    os.chown(folder, *_owner(directory))
    left = [
        "c1.1.0.parquet.aa.tmp",
        "c1.2.0.parquet.bb.tmp",
        "c1.manifest.json.cc.tmp",
        "c12.manifest.json.dd.tmp",
    ]
    for name in left:
        (folder / name).write_bytes(b"half")
    assert store.abort_uploads("t/c1.1.") == 2
    assert sorted(path.name for path in folder.iterdir()) == [left[1], left[3]]


def test_what_is_left_of_records_and_of_the_test_goes(make, directory, monkeypatch):
    """It belongs to no attempt; files of rows, and those of other sinks, stay."""
    store = make().store
    for name in ("sftp_stg/t/c1.1.0.json", "sftp_stg/t/c1.manifest.json", "another/t/c1.manifest.json"):
        store.put_new(name, b"whole")
    left = ["c1.manifest.json", "c1.removed.json", "_hdm_epoch_done.json", "_hdm_table.12345678.json"]
    stays = ["sftp_stg/t/c1.2.0.json.ab.tmp", "another/t/c2.manifest.json.ab.tmp"]
    names = [*(f"sftp_stg/t/{name}.ab.tmp" for name in left), *stays, "_hdm_probe.ab.tmp"]
    for name in names:
        Path(directory, name).write_bytes(b"half")
    assert sorted(make().leftovers()) == sorted(map(store.uri, names[: len(left)]))
    monkeypatch.setattr(SFTPStore, "_known", {})
    make().store.ready()
    assert not Path(directory, "_hdm_probe.ab.tmp").exists()
    assert all(Path(directory, name).exists() for name in stays)


def test_a_record_whose_temporary_file_was_taken_away_is_made_again(make, monkeypatch):
    store, rename, calls = make().store, paramiko.SFTPClient.rename, []
    store.ready()

    def late(self, old, new):
        calls.append(old)
        if len(calls) == 1:
            self.remove(old)
        return rename(self, old, new)

    monkeypatch.setattr(paramiko.SFTPClient, "rename", late)
    assert store.put_new("a", b"x").size == 1
    assert len(set(calls)) == 2 and content(store, "a") == b"x"


def _owner(folder):
    found = Path(folder).stat()
    return found.st_uid, found.st_gid


def test_a_reading_goes_on_after_a_cut_unless_the_file_was_replaced(make, sshd_server, directory):
    way, body = Proxy(sshd_server.port), os.urandom(MIB) * 6
    try:
        store = make({"port": way.port}).store
        store.put_new("a", body)
        with store.open("a") as stream:
            assert stream.read(100) == body[:100]
            way.cut()
            assert stream.read() == body[100:]
        with store.open("a") as stream:
            stream.read(100)
            way.cut()
            Path(directory, "a").write_bytes(body + b"more")
            with pytest.raises(CorruptFile, match="was replaced"):
                stream.read()
    finally:
        way.refuse()


def test_links_and_folders_are_no_objects(make, directory):
    store = make().store
    store.put_new("a/b", b"x")
    os.symlink("/etc/passwd", Path(directory, "a/link"))
    assert [one.key for one in store.list()] == ["a/b"]
    assert store.stat("a/link") is None and store.stat("a") is None


def test_a_directory_that_is_not_there_or_not_ours_is_said(make, sshd_server):
    profile = SFTPProfile(**sshd_server.profile)
    absent = SFTPSink(SFTPSink.Config(directory="/no/such"), profile, name="s")
    with pytest.raises(UsageError, match="there is no directory sftp"):
        absent.ready()
    assert not absent.probe()[0][1]
    store = make().store
    store.put_new("a/b", b"x")
    if os.getuid() != 0 or sshd_server.user != "root":
        Path(store.path("a")).chmod(0o500)
        with pytest.raises(UsageError, match="denied"):
            store.put_new("a/c", b"x")
        Path(store.path("a")).chmod(0o700)


@pytest.mark.parametrize("value", ["relative", "/a/../b", ""])
def test_a_directory_is_absolute(value):
    with pytest.raises(ValidationError):
        SFTPSink.Config(directory=value)


class _Deaf(paramiko.SFTPHandle):
    """A file of which every write between the second and the third MiB is refused."""

    def write(self, offset, data):
        if MIB <= offset < 2 * MIB:
            return paramiko.SFTP_FAILURE
        os.pwrite(self.writefile.fileno(), data, offset)
        return paramiko.SFTP_OK

    def stat(self):
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.writefile.fileno()))


class _DeafDisk(paramiko.SFTPServerInterface):
    root = ""

    def open(self, path, flags, attr):
        handle = _Deaf(flags)
        handle.filename = self.root + path
        handle.writefile = open(handle.filename, "wb")  # noqa: SIM115 (the handle closes it)
        return handle

    def lstat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.lstat(self.root + path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def remove(self, path):
        os.remove(self.root + path)
        return paramiko.SFTP_OK

    def rename(self, oldpath, newpath):
        os.link(self.root + oldpath, self.root + newpath)
        os.remove(self.root + oldpath)
        return paramiko.SFTP_OK


class _LetIn(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


def test_a_write_that_is_refused_in_the_middle_is_seen(tmp_path):
    """paramiko's own server refuses them; its client, left to itself, makes a file with a hole of it."""
    here, there = socket.socketpair()
    server = paramiko.Transport(there)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.set_subsystem_handler(
        "sftp", paramiko.SFTPServer, type("Disk", (_DeafDisk,), {"root": str(tmp_path)})
    )
    server.start_server(server=_LetIn(), event=threading.Event())
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("here", username="u", password="p", sock=here, look_for_keys=False, allow_agent=False)
    try:
        store = SFTPStore(lambda: client, "here:22", "/", Upload(verify="head"))
        store._known["sftp://here:22/"] = True
        with pytest.raises(TransientError, match="the server failed at the upload"):
            upload(store, "a", b"x" * (3 * MIB))
        assert list(tmp_path.iterdir()) == []
    finally:
        client.close()
        server.close()


# -- who the server is ----------------------------------------------------------------


def test_an_unknown_host_key_is_refused_with_its_fingerprint(make, tmp_path, sshd_server):
    (tmp_path / "known").touch()
    with pytest.raises(UsageError, match="is not known: the server shows ssh-ed25519 SHA256:") as caught:
        make({"host_key": None, "known_hosts": str(tmp_path / "known")}).ready()
    assert "host_key" in caught.value.hint
    assert (tmp_path / "known").read_text() == ""


def test_another_host_key_is_refused_wherever_it_stands(make, tmp_path, sshd_server):
    other = new_key(tmp_path / "other")
    with pytest.raises(UsageError, match="another host key"):
        make({"host_key": other}).ready()
    line = f"[{HOST}]:{sshd_server.port} {other}\n"
    (tmp_path / "known").write_text(line)
    for trust in (False, True):
        with pytest.raises(UsageError, match="another host key"):
            make({"host_key": None, "known_hosts": str(tmp_path / "known"), "trust_new_host": trust}).ready()
    assert (tmp_path / "known").read_text() == line


def test_a_new_host_is_trusted_where_that_is_asked_and_remembered(make, tmp_path, sshd_server):
    words = {"host_key": None, "known_hosts": str(tmp_path / "new" / "known")}
    make({**words, "trust_new_host": True}).ready()
    assert sshd_server.host_key in (tmp_path / "new" / "known").read_text()
    make(words).ready()


def test_a_known_hosts_file_that_is_not_there_is_said(make, tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        make({"host_key": None, "known_hosts": str(tmp_path / "absent")}).ready()
    with pytest.raises(UsageError, match="no public key"):
        make({"host_key": "ssh-ed25519 AAAA"}).ready()


# -- who we are -----------------------------------------------------------------------


def test_keys_come_as_file_text_or_encrypted(make, sshd_server, tmp_path):
    text = sshd_server.key_file.read_text()
    make({"private_key_file": None, "private_key": text}).ready()
    key = serialization.load_ssh_private_key(text.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"phrase-4711"),
    )  # fmt: skip
    (tmp_path / "locked").write_bytes(locked)
    words = {"private_key_file": str(tmp_path / "locked")}
    make({**words, "private_key_passphrase": "phrase-4711"}).ready()
    with pytest.raises(UsageError, match="is encrypted"):
        make(words).ready()
    with pytest.raises(UsageError, match="no private key"):
        make({**words, "private_key_passphrase": "wrong-phrase"}).ready()
    with pytest.raises(UsageError, match="cannot be read"):
        make({"private_key_file": str(tmp_path / "absent")}).ready()


def test_a_refused_login_is_said_and_shows_no_secret(make, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    foreign = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()  # fmt: skip
    for words in (
        {"private_key_file": None, "password": "canary-4711"},
        {"private_key_file": None, "private_key": foreign},
    ):
        sink = make(words)
        with pytest.raises(UsageError, match="refused the login") as caught:
            sink.ready()
        shown = f"{caught.value} {caught.value.hint} {vars(sink)!r} {sink.probe()} {caplog.text}"
        assert "canary-4711" not in shown and foreign[40:80] not in shown


@pytest.fixture
def by_password(tmp_path):
    """Another server, of rclone, which knows passwords and neither hard links nor fsync."""
    port, home = free_port(), folder("rclone-sftp")
    shown = new_key(home / "host_key")
    (home / "data").mkdir()
    program = Path(sys.executable).parent / "rclone"
    command = [
        program,
        "serve",
        "sftp",
        "--addr",
        f"{HOST}:{port}",
        "--user",
        "someone",
        "--pass",
        "pass-4711",
    ]
    command += ["--key", home / "host_key", "--config", home / "none.conf", "--vfs-cache-mode", "writes"]
    command += ["--cache-dir", home / "cache", home / "data"]
    server = Server("rclone-sftp", command, home)
    server.start(lambda: answers(port))
    yield {"host": HOST, "port": port, "user": "someone", "host_key": shown}
    server.stop()


@pytest.mark.server
def test_a_password_is_taken_and_another_servers_rename_is_judged(by_password):
    def sink(password, **conf):
        profile = SFTPProfile(**by_password, password=password)
        return SFTPSink(SFTPSink.Config(directory="/", **conf), profile, name="s")

    with pytest.raises(UsageError, match="refused the login"):
        sink("wrong-4711").ready()
    sink("pass-4711").ready()
    store = sink("pass-4711", create_once="check").store
    upload(store, "a/b", b"x" * MIB)
    assert content(store, "a/b") == b"x" * MIB
    with pytest.raises(FileExistsError):
        upload(store, "a/b", b"y")


def test_a_server_that_is_away_is_told_by_its_address():
    profile = SFTPProfile(host="127.0.0.1", port=1, user="u", password="canary-4711")
    with pytest.raises(ConnectionLost, match=r"sftp://127\.0\.0\.1:1/x/ failed: refused"):
        SFTPSource(SFTPSource.Config(directory="/x"), profile, name="s").store.look()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "give password"),
        ({"private_key_file": "k", "private_key": "x"}, "not both"),
        ({"password": "x", "trust_new_host": True, "host_key": "a b"}, "contradict"),
        ({"password": "x", "host_key": "AAAA"}, "a type and its base64"),
    ],
)
def test_profiles_that_are_wrong_are_refused(words, said):
    with pytest.raises(ValidationError, match=said):
        SFTPProfile(host="h", user="u", **words)


def test_a_missing_driver_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    profile = SFTPProfile(host="127.0.0.1", port=1, user="u", password="x")
    source = SFTPSource(SFTPSource.Config(directory="/x"), profile, name="s")
    with pytest.raises(MissingDriver, match="paramiko") as caught:
        list(source.tables())
    assert caught.value.hint == "pip install 'hdm[sftp]'"
