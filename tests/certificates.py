"""A private CA of a test, and the certificates that it signs. Source: openssl-req(1), openssl-ca(1)."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, PEM."""

    certificate: Path
    key: Path


class Authority:
    """A CA in a folder of its own; `certificate` is what those need who shall trust it."""

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        folder.mkdir()
        self._folder = folder
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        _openssl(
            "req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate, "-days", "2",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        (folder / "index.txt").touch()

    def sign(self, name: str, *, expired: bool = False) -> Signed:
        """For the host or client `name`, valid for a day or since yesterday no more."""
        signed = Signed(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
        _openssl("req", *_KEY, "-keyout", signed.key, "-out", request, "-subj", f"/CN={name}")
        # `openssl ca` alone takes dates that are over; it wants to know where it keeps its books.
        settings = self._folder / "ca.cnf"
        settings.write_text(
            f"[ca]\ndefault_ca=x\n[x]\ndatabase={self._folder}/index.txt\nnew_certs_dir={self._folder}\n"
            "rand_serial=yes\nunique_subject=no\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        )
        end = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
        _openssl(
            "ca", "-batch", "-notext", "-config", settings, "-cert", self.certificate, "-keyfile", self._key,
            "-in", request, "-out", signed.certificate, "-extfile", extensions,
            "-startdate", f"{end - timedelta(days=3):%y%m%d%H%M%SZ}", "-enddate", f"{end:%y%m%d%H%M%SZ}",
        )  # fmt: skip
        return signed


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
