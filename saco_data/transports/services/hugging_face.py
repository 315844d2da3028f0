"""Files of a dataset on the Hugging Face Hub, through `huggingface_hub`."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import stamina
from huggingface_hub import errors, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.utils.tqdm import disable_progress_bars

from saco_data.model.errors import Blocked, SacoError
from saco_data.model.reasons import Reason
from saco_data.model.safe_logging import guard
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.transports.base import Failure

SECONDS = 10.0  # to wait for the first bytes of an answer
_PATIENCE = 20.0  # seconds after which nothing is retried

T = TypeVar("T")


# Without a handler, Python prints stamina's notes of retries to stderr.
logging.getLogger("stamina").addHandler(logging.NullHandler())
# These print whole addresses, and those of large files are signed in their query.
guard(
    "huggingface_hub",
    "huggingface_hub.file_download",
    "huggingface_hub.utils._http",
    "httpx",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.connection",
    "httpcore.proxy",
)


@dataclass(frozen=True, slots=True)
class Found:
    """The current version of a file: commit, digest (sha256, or git's sha1) and size in bytes."""

    revision: str
    etag: str
    bytes: int | None


class Hub:
    """One dataset. `endpoint` None: the library's own, HF_ENDPOINT included; likewise `token`.

    All methods raise Blocked where the user must act (terms, token) and Failure otherwise. Once the
    hub could not be reached, no later call waits for it again.
    """

    def __init__(self, dataset: str, endpoint: str | None, token: str | None) -> None:
        self.dataset = dataset
        self.endpoint = endpoint
        self._token = token
        self._unreachable: Failure | None = None  # why the hub cannot be reached
        disable_progress_bars()

    @property
    def page(self) -> str:
        """Where a person accepts the terms."""
        return f"https://huggingface.co/datasets/{self.dataset}"

    def look(self, name: str) -> Found:
        """The current version of the file of this name."""
        if (earlier := self._unreachable) is not None:
            raise Failure(earlier.what, item=name, remedy=earlier.remedy, reason=earlier.reason)
        url = hf_hub_url(self.dataset, name, repo_type="dataset", endpoint=self.endpoint)
        found = self._retry(
            name,
            lambda: get_hf_file_metadata(
                url, token=self._token, timeout=SECONDS, endpoint=self.endpoint
            ),
        )
        if not found.commit_hash or not found.etag:
            raise Failure(
                "the server is not a Hugging Face Hub",
                item=name,
                remedy="Check "
                + ("`endpoints: hub` in the config" if self.endpoint else "HF_ENDPOINT")
                + " and the proxy",
            )
        return Found(found.commit_hash, found.etag, found.size)

    def fetch(self, name: str, found: Found, folder: Path) -> Path:
        """The path of the downloaded file, with the right digest; `folder` is emptied first.

        Also raises DiskFull and OutputError.
        """
        with explain_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

        def download() -> Path:
            with explain_errors(folder):
                path = hf_hub_download(
                    self.dataset,
                    name,
                    repo_type="dataset",
                    revision=found.revision,
                    local_dir=folder,
                    token=self._token,
                    endpoint=self.endpoint,
                    etag_timeout=SECONDS,
                )
            if not matches(Path(path), found):
                Path(path).unlink()
                raise Failure(
                    "the digest is not the one that the hub announced",
                    item=name,
                    reason=Reason.WRONG_DIGEST,
                )
            return Path(path)

        return self._retry(name, download)

    def _retry(self, name: str, call: Callable[[], T]) -> T:
        try:
            for attempt in stamina.retry_context(
                on=_is_transient, attempts=4, timeout=_PATIENCE, wait_initial=0.5
            ):
                with attempt:
                    return call()
        except SacoError:
            raise
        except (_Http, OSError, RuntimeError, ValueError, errors.EntryNotFoundError) as error:
            raise self._explain(name, error) from None
        raise AssertionError("stamina returns or raises")

    def _explain(self, name: str, error: Exception) -> SacoError:
        """An error of the library in our words: its own may hold whole URLs and headers."""
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        refused = isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403)
        if refused:
            return Blocked(
                f"the Hugging Face Hub refuses access (HTTP {status})",
                item=name,
                remedy=f"Accept the terms at {self.page}, then set HF_TOKEN",
                reason=Reason.UNAUTHORIZED,
            )
        if status == 429:
            return Blocked(
                "the Hugging Face Hub asks for a rest (HTTP 429)",
                item=name,
                remedy="Run the same command again later",
                reason=Reason.THROTTLED,
            )
        # LocalEntryNotFoundError is one of them, but means that the hub could not be asked.
        missing = isinstance(error, errors.EntryNotFoundError | errors.RevisionNotFoundError)
        if missing and not isinstance(error, errors.LocalEntryNotFoundError):
            return Blocked(
                f"{self.dataset} on the Hugging Face Hub has no such file",
                item=name,
                remedy=f"Look at {self.page}, or take it from elsewhere: --from FOLDER",
                reason=Reason.ANNOTATIONS,
            )
        remedy = "Run again when it can, or put the file there yourself"
        if isinstance(error, errors.OfflineModeIsEnabled):
            what, remedy = "not fetched because HF_HUB_OFFLINE is set", "Unset it and run again"
        elif status is not None:
            what, remedy = f"the Hugging Face Hub failed (HTTP {status})", "Run again later"
        else:
            what = f"the Hugging Face Hub cannot be reached ({type(error).__name__})"
        self._unreachable = Failure(what, item=name, remedy=remedy, reason=Reason.NETWORK)
        return self._unreachable


def _is_transient(error: Exception) -> bool:
    if isinstance(error, Failure):
        return error.reason is Reason.WRONG_DIGEST
    if isinstance(error, errors.OfflineModeIsEnabled | SacoError):
        return False
    status = getattr(getattr(error, "response", None), "status_code", None)
    return (status is None and isinstance(error, OSError | _Http)) or (
        status in (408, 500, 502, 503, 504)
    )


# The base class of all errors of the library's HTTP client, which has been another one before.
_Http: type[Exception] = errors.HfHubHTTPError.__mro__[1]


def matches(path: Path, found: Found) -> bool:
    """Whether a file has the digest that the hub names; for an unknown digest, the size."""
    size = path.stat().st_size
    if len(found.etag) == 64:
        return files.sha256_of(path) == found.etag
    if len(found.etag) == 40:
        digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while piece := file.read(files.CHUNK):
                digest.update(piece)
        return digest.hexdigest() == found.etag
    return found.bytes in (None, size)
