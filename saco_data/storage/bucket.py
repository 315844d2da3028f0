"""A store in a bucket: `s3://bucket/prefix` or `gs://bucket/prefix`, by the library obstore.

Credentials and endpoint are those of the environment, as for the AWS and Google tools. They are
never part of an address, and never of a message: answers of a server may repeat them, so that only
the code of an answer is told.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from saco_data.config.installation import how_to_install
from saco_data.model.errors import DiskFull, Incomplete, OutputError, UsageError
from saco_data.storage.names import safe_join
from saco_data.storage.store import Changed, Exists, Stamp

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import UpdateVersion
    from obstore.store import ObjectStore, S3Config

_CODES = re.compile(r"<Code>(\w{1,60})</Code>"), re.compile(r"status code: (\d{3})")
_FULL = re.compile(r"QuotaExceeded|InsufficientStorage|status code: 507")
_TOKEN = re.compile(r"performing token request")
_GOOGLE_REMEDY = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or run "
    "`gcloud auth application-default login`"
)
_READ_BYTES = 1 << 20  # of a file that is opened, at a time


class BucketStore:
    """See `Store`. `place`: the address, without a trailing slash.

    It is made from its address in every process: never pickle one, it holds keys.
    """

    def __init__(self, place: str) -> None:
        parts = urlsplit(place)
        if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
            raise UsageError(
                "is not the address of a bucket",
                item=f"{parts.scheme}://{parts.hostname or ''}",
                remedy="Write s3://bucket/prefix or gs://bucket/prefix; keys are in the "
                "environment, never in an address",
            )
        if path := parts.path.strip("/"):
            _check(path)
        self.place = f"{parts.scheme.lower()}://{parts.netloc}{parts.path.rstrip('/')}"
        self._store = _connect(self.place)

    def __reduce__(self) -> tuple[Any, ...]:
        return BucketStore, (self.place,)

    def put(self, name: str, content: bytes | Path, *, only_new: bool = False) -> Stamp:
        """See `Store.put`."""
        import obstore

        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        with self._explaining(name):
            done = obstore.put(
                self._store, _check(name), content, mode="create" if only_new else "overwrite"
            )
        return Stamp(size, _tag(done["e_tag"]))

    def replace(self, name: str, content: bytes, stamp: Stamp) -> Stamp:
        """See `Store.replace`."""
        import obstore

        version: UpdateVersion = {"e_tag": f'"{stamp.tag}"'}
        try:
            with self._explaining(name):
                if self.place.startswith("gs://"):
                    # Its condition is the generation, which a listing does not give.
                    now = obstore.head(self._store, _check(name))
                    if _tag(now["e_tag"]) != stamp.tag:
                        raise Changed(name)
                    version = {"e_tag": now["e_tag"], "version": now["version"]}
                done = obstore.put(self._store, _check(name), content, mode=version)
        except FileNotFoundError:
            raise Changed(name) from None
        return Stamp(len(content), _tag(done["e_tag"]))

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        import obstore

        with self._explaining(name):
            return bytes(obstore.get(self._store, _check(name)).bytes())

    def open(self, name: str) -> BinaryIO:
        """See `Store.open`."""
        stamp = self.stat(name)
        if stamp is None:
            raise FileNotFoundError(f"{self.place}/{name}: no such object")
        raw = _Ranges(lambda start, end: self._read_range(name, start, end), stamp.size)
        return io.BufferedReader(raw, _READ_BYTES)

    def _read_range(self, name: str, start: int, end: int) -> bytes:
        import obstore

        with self._explaining(name):
            return bytes(obstore.get_range(self._store, _check(name), start=start, end=end))

    def stat(self, name: str) -> Stamp | None:
        """See `Store.stat`."""
        import obstore

        try:
            with self._explaining(name):
                found = obstore.head(self._store, _check(name))
        except FileNotFoundError:
            return None
        return Stamp(found["size"], _tag(found["e_tag"]))

    def list(self, prefix: str = "") -> Iterator[tuple[str, Stamp]]:
        """See `Store.list`. A request for every 1,000 objects."""
        import obstore

        with self._explaining(prefix):
            for page in obstore.list(self._store, prefix or None):
                for each in page:
                    yield each["path"], Stamp(each["size"], _tag(each["e_tag"]))

    def delete(self, names: Iterable[str]) -> None:
        """See `Store.delete`."""
        import obstore

        checked = [_check(name) for name in names]
        if checked:
            with self._explaining(checked[0]), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, checked)

    @contextlib.contextmanager
    def _explaining(self, name: str) -> Iterator[None]:
        """Within the context, errors of obstore become ours."""
        from obstore import exceptions

        item = f"{self.place}/{name}"
        try:
            yield
        except exceptions.AlreadyExistsError:
            raise Exists(name) from None
        except exceptions.PreconditionError:
            raise Changed(name) from None
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise OutputError(
                    "the bucket does not exist", item=self.place, remedy="Create it, or correct it"
                ) from None
            raise FileNotFoundError(f"{item}: no such object") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise OutputError(
                f"access is refused ({_code(error)})",
                item=item,
                remedy="Check the credentials in the environment, and what they may do there",
            ) from None
        except exceptions.BaseError as error:
            if _TOKEN.search(str(error)):
                raise OutputError(
                    "no credentials for this bucket are found, or they give no access",
                    item=self.place,
                    remedy=_GOOGLE_REMEDY,
                ) from None
            if _FULL.search(str(error)):
                raise DiskFull(
                    "the quota of the bucket is used up", item=item, remedy="Free some space"
                ) from None
            raise Incomplete(
                f"the bucket does not answer as it should ({_code(error)})",
                item=item,
                remedy="Run again; if it comes back, check address, endpoint and network",
            ) from None


class _Ranges(io.RawIOBase):
    """An object as a raw file: `read_range(start, end)` fetches bytes, `size` is its length."""

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        self._read_range, self._size, self._at = read_range, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        content = self._read_range(self._at, end)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


def _check(name: str) -> str:
    """The name, if it stays in the store. Raises UnsafeName."""
    return PurePosixPath(safe_join(Path("/"), name)).as_posix()[1:]


def _tag(tag: str | None) -> str:
    return (tag or "").strip('"')


def _code(error: BaseException) -> str:
    """The code of an answer, without its text."""
    found = (code.search(str(error)) for code in _CODES)
    return next((each[1] for each in found if each), type(error).__name__)


def _connect(place: str) -> ObjectStore:
    try:
        from obstore import store
    except ImportError:
        raise UsageError(
            "buckets need a library that is not installed",
            item=place,
            remedy=f"Run `{how_to_install('bucket')}`",
        ) from None
    if place.startswith("gs://"):
        return _connect_to_google(place)
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    environment = os.environ
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if session.get_credentials() is None:
        raise OutputError(
            "there are no credentials for this bucket",
            item=place,
            remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    config: S3Config = {"region": session.region_name or "us-east-1"}
    if endpoint:
        config["endpoint"] = endpoint
        config["virtual_hosted_style_request"] = False
    return store.S3Store.from_url(
        place,
        config=config,
        client_options={"allow_http": (endpoint or "").startswith("http://")},
        credential_provider=Boto3CredentialProvider(session),
    )


def _connect_to_google(place: str) -> ObjectStore:
    from obstore import exceptions, store

    try:
        return store.GCSStore.from_url(place)
    except exceptions.BaseError:
        # Its text may repeat what the file holds.
        raise OutputError(
            "the credentials for this bucket cannot be used", item=place, remedy=_GOOGLE_REMEDY
        ) from None
