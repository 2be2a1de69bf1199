"""A private OpenSSH server with its own sftp-server inside; nothing of it is installed."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import provision
from tests.servers.process import (
    HOST,
    Server,
    answers,
    folder,
    free_port,
    new_name,
    unprivileged,
    within_reach,
)

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 64
AuthenticationMethods publickey
Subsystem sftp internal-sftp -u 0077
ForceCommand internal-sftp -u 0077
AllowTcpForwarding no
AllowAgentForwarding no
PermitTTY no
"""


@dataclass
class SSHD:
    """A running server; ``fresh`` makes an empty directory, ``root`` holds all of them."""

    server: Server
    port: int
    user: str
    host_key: str
    key_file: Path
    root: Path

    @property
    def profile(self) -> dict[str, Any]:
        """The keys of a profile's connection."""
        return {
            "host": HOST,
            "port": self.port,
            "user": self.user,
            "private_key_file": str(self.key_file),
            "host_key": self.host_key,
        }

    def fresh(self) -> str:
        """A new, empty directory."""
        made = self.root / new_name("files-", "-")
        made.mkdir()
        if unprivileged():
            shutil.chown(made, self.user)
        return str(made)


def new_key(path: Path, owner: str | None = None) -> str:
    """Write a new Ed25519 key for OpenSSH; return the public key, type and base64."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.write_bytes(secret)
    path.chmod(0o600)
    if owner:
        shutil.chown(path, owner)
    shown = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return shown.decode()


def _sshd(user: str | None, home: Path) -> tuple[Path, dict[str, str]]:
    found = provision.find("sshd")
    if found is not None:
        return found, {}
    prefix = provision.unpacked("openssh", ["openssh-server"], ["openssh-server"]) / "usr"
    reached = within_reach(prefix, user, home)
    places = [*(reached / "lib").glob("*-linux-*"), *(reached.parent / "lib").glob("*-linux-*")]
    return reached / "sbin" / "sshd", {"LD_LIBRARY_PATH": ":".join(map(str, places))} if places else {}


@contextmanager
def running() -> Iterator[SSHD]:
    """Start a server of its own, stop it at the end."""
    user, port = unprivileged(), free_port()
    home = folder("sshd", user)
    program, env = _sshd(user, home)
    shown = new_key(home / "host_key", user)
    key_file = home / "client_key"
    (home / "authorized_keys").write_text(new_key(key_file) + "\n")
    (home / "sshd_config").write_text(CONFIG.format(port=port, home=home))
    root = home / "data"
    root.mkdir(mode=0o755)
    if user:
        shutil.chown(root, user)
    server = Server("sshd", [program, "-D", "-e", "-f", home / "sshd_config"], home, user, env=env)
    server.start(lambda: answers(port))
    try:
        yield SSHD(server, port, user or getpass.getuser(), shown, key_file, root)
    finally:
        server.stop()
