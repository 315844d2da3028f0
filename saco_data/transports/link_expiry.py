"""When a signed link expires, as the link itself says. Pure functions, no network."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from saco_data.storage import untrusted_json

_LATEST = 1 << 33  # seconds since the epoch; no link is signed for so long


def expiry(url: str) -> float | None:
    """When a link expires, in seconds since the epoch; None if it does not say.

    Understands S3 and Google (`Expires`, `X-Amz-Date` and `X-Amz-Expires`, their `X-Goog-` twins),
    CloudFront (`Expires`, `Policy`) and Meta's `oe`. The earliest counts.
    """
    try:
        fields = {name.lower(): values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    except ValueError:
        return None
    return min((time for time in _times(fields) if 0 < time < _LATEST), default=None)


def _times(fields: dict[str, str]) -> Iterator[float]:
    if fields.get("expires", "").isdecimal():
        yield float(fields["expires"])
    for name in ("x-amz", "x-goog"):
        signed_at, seconds = fields.get(f"{name}-date", ""), fields.get(f"{name}-expires", "")
        if re.fullmatch(r"\d{8}T\d{6}Z", signed_at) and seconds.isdecimal():
            try:
                moment = datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            except ValueError:
                continue
            yield moment.timestamp() + float(seconds)
    if re.fullmatch(r"[0-9a-f]{8}", fields.get("oe", ""), re.I):
        yield float(int(fields["oe"], 16))
    if "policy" in fields:
        yield from _times_of_policy(fields["policy"])


def _times_of_policy(text: str) -> Iterator[float]:
    """The expiry in a CloudFront policy: base64 with `+=/` written as `-_~`."""
    try:
        # Parsing a query turns + into a blank.
        policy = untrusted_json.parse(
            base64.b64decode(text.replace(" ", "+").translate(_CLOUDFRONT))
        )
        for statement in policy["Statement"]:
            yield float(statement["Condition"]["DateLessThan"]["AWS:EpochTime"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return


_CLOUDFRONT = str.maketrans("-_~", "+=/")


def when(moment: float) -> str:
    """A time as text, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
