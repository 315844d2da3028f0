"""What the environment says about certificates, proxies and passwords."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.request import getproxies

from saco_data.model.errors import UsageError

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
    context = ssl.create_default_context()
    name = next(filter(os.environ.get, _BUNDLES), None)
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
