"""What the environment says about certificates, proxies and passwords."""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path
from urllib.request import getproxies

from saco_data.model.errors import UsageError
from saco_data.storage.files import stamp

_SYSTEM = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")


def has_proxy_or_netrc() -> bool:
    """Whether the environment names a proxy or a file of passwords.

    Where it does not, aiohttp would still look for both in threads, twice for each request: that
    costs as much as the request itself.
    """
    netrc = os.environ.get("NETRC") or Path("~/.netrc").expanduser()
    return bool(getproxies()) or Path(netrc).is_file()


def certificates() -> ssl.SSLContext:
    """The system's certificates (SSL_CERT_FILE included) and those that `_BUNDLES` name first.

    Raises UsageError where the named file cannot be read.
    """
    name = next(filter(os.environ.get, _BUNDLES), None)
    places = [os.environ.get(each) for each in (name, *_SYSTEM) if each]
    # To load them takes a tenth of a second: once for all clients, unless a file was changed.
    return _load(name, tuple((place, tuple(stamp(Path(place or "/")))) for place in places))


@functools.lru_cache(maxsize=8)
def _load(name: str | None, _stamps: tuple[object, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if name is None:
        return context
    bundle = Path(os.environ[name])
    try:
        if bundle.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:
        raise UsageError(
            f"{name} names no file of certificates ({error})",
            item=str(bundle),
            remedy="Correct or unset it",
        ) from error
    return context
