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

from saco_data.model.errors import Blocked, Incomplete, SacoError
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors

# Retries are nothing to report, unless somebody listens.
logging.getLogger("stamina").addHandler(logging.NullHandler())

SECONDS = 10.0  # to wait for the first word of the hub
_PATIENCE = 20.0  # seconds after which nothing is tried anew

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A file as the hub has it now: commit, digest (sha256, or git's sha1) and bytes."""

    revision: str
    etag: str
    bytes: int | None


class Hub:
    """One dataset. `endpoint` None: the library's own, HF_ENDPOINT included; likewise `token`.

    All methods raise Blocked where the user must act (terms, token) and Incomplete otherwise.
    Once the hub could not be reached, no other file of the run waits for it again.
    """

    def __init__(self, dataset: str, endpoint: str | None, token: str | None) -> None:
        self.dataset = dataset
        self.endpoint = endpoint
        self._token = token
        self._down = ("", "")  # what is wrong with the hub itself, and what to do
        disable_progress_bars()
        # Its warnings hold whole addresses, signed ones too.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

    @property
    def page(self) -> str:
        """Where a person accepts the terms."""
        return f"https://huggingface.co/datasets/{self.dataset}"

    def look(self, name: str) -> Found:
        """What the hub has under a name."""
        if self._down[0]:
            raise Incomplete(self._down[0], item=name, remedy=self._down[1])
        url = hf_hub_url(self.dataset, name, repo_type="dataset", endpoint=self.endpoint)
        found = self._tried(
            name,
            lambda: get_hf_file_metadata(
                url, token=self._token, timeout=SECONDS, endpoint=self.endpoint
            ),
        )
        if not found.commit_hash or not found.etag:
            raise Incomplete(
                "what answers is not a Hugging Face Hub",
                item=name,
                remedy="Check `endpoints: hub` in the config, HF_ENDPOINT and the proxy",
            )
        return Found(found.commit_hash, found.etag, found.size)

    def fetch(self, name: str, found: Found, folder: Path) -> Path:
        """Downloads a file into a folder of its own, which is emptied before; its digest is right.

        Raises DiskFull and OutputError too.
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
                raise _WrongDigest("what came has another digest than the hub announced")
            return Path(path)

        return self._tried(name, download)

    def _tried(self, name: str, call: Callable[[], T]) -> T:
        try:
            for attempt in stamina.retry_context(
                on=_transient, attempts=4, timeout=_PATIENCE, wait_initial=0.5
            ):
                with attempt:
                    return call()
        except SacoError:
            raise
        except (_Http, OSError, RuntimeError, ValueError, errors.EntryNotFoundError) as error:
            raise self._explained(name, error) from None
        raise AssertionError("stamina returns or raises")

    def _explained(self, name: str, error: Exception) -> SacoError:
        """The library's errors in our words: theirs may hold addresses and headers."""
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
        # One of the former means that nothing is at hand and nobody could be asked.
        missing = isinstance(error, errors.EntryNotFoundError | errors.RevisionNotFoundError)
        if missing and not isinstance(error, errors.LocalEntryNotFoundError):
            return Blocked(
                f"{self.dataset} on the Hugging Face Hub has no such file",
                item=name,
                remedy=f"Look at {self.page}, or take it from elsewhere: --from FOLDER",
                reason=Reason.ANNOTATIONS,
            )
        if isinstance(error, _WrongDigest):
            return Incomplete(str(error), item=name, remedy="Run the same command again")
        remedy = "Run again when it can, or put the file there yourself"
        if isinstance(error, errors.OfflineModeIsEnabled):
            what, remedy = "not fetched because HF_HUB_OFFLINE is set", "Unset it and run again"
        elif status is not None:
            what, remedy = f"the Hugging Face Hub failed (HTTP {status})", "Run again later"
        else:
            what = f"the Hugging Face Hub cannot be reached ({type(error).__name__})"
        self._down = (what, remedy)
        return Incomplete(what, item=name, remedy=remedy)


class _WrongDigest(ValueError):
    """A file is not the one that was announced."""


def _transient(error: Exception) -> bool:
    if isinstance(error, errors.OfflineModeIsEnabled | SacoError):
        return False
    status = getattr(getattr(error, "response", None), "status_code", None)
    return (status is None and isinstance(error, OSError | _Http | _WrongDigest)) or (
        status in (408, 500, 502, 503, 504)
    )


# The library has changed its HTTP client before: whatever its error derives from is its client's.
_Http: type[Exception] = errors.HfHubHTTPError.__mro__[1]


def matches(path: Path, found: Found) -> bool:
    """Whether a file is the one that the hub has; by its size where the digest is of no use."""
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
