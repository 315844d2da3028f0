"""Encryption between coordinator and nodes: only who has the key of this run can connect."""

from __future__ import annotations

import os
from pathlib import Path

import dask
from distributed.security import Security

from saco_data.model.errors import UsageError


def make_certificate(folder: Path) -> Security:
    """A new key and certificate for one run, in files that only this user can read.

    The certificate signs itself and is the only authority that both sides accept. `folder` is new,
    and on a disk that all nodes share.
    """
    made = Security.temporary()
    folder.mkdir(mode=0o700)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    _write_private(key, made.tls_client_key)
    _write_private(certificate, made.tls_client_cert)
    return _use(certificate, key)


def find_certificate() -> Security:
    """The certificates that Dask's own configuration names, for a scheduler of the user's.

    Raises UsageError where there is none.
    """
    names = {
        "CA_FILE": dask.config.get("distributed.comm.tls.ca-file", None),
        "CLIENT__CERT": dask.config.get("distributed.comm.tls.client.cert", None),
        "CLIENT__KEY": dask.config.get("distributed.comm.tls.client.key", None),
    }
    missing = [f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name, value in names.items() if not value]
    if missing:
        raise UsageError(
            "a scheduler at tls:// needs the certificates of its cluster",
            item="executor",
            remedy=f"Set {', '.join(missing)} (or the same keys in Dask's configuration)",
        )
    return Security(require_encryption=True)


def _use(certificate: Path, key: Path) -> Security:
    return Security(
        require_encryption=True,
        tls_ca_file=str(certificate),
        tls_client_cert=str(certificate),
        tls_client_key=str(key),
        tls_scheduler_cert=str(certificate),
        tls_scheduler_key=str(key),
        tls_worker_cert=str(certificate),
        tls_worker_key=str(key),
    )


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
