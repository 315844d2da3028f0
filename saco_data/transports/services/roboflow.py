"""Exports of Roboflow: a zip with pictures and one `_annotations.coco.json`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from saco_data.model.errors import Blocked, SacoError
from saco_data.model.outside import without_secrets
from saco_data.model.reasons import Reason, State
from saco_data.storage import untrusted_json
from saco_data.transports.base import Failure, Policy, Request
from saco_data.transports.http import Http

ROOT = "https://api.roboflow.com"
WORKSPACE = "sa-co-silver"
COCO = "_annotations.coco.json"
_MADE = re.compile(r"(?P<stem>.+)_(?P<suffix>jpe?g|png|bmp|webp|tiff?)\.rf\.\w+\.\w+", re.I)
_SHORTEST = 6  # first letters of a key that may be shown
_WORDS = re.compile(r"[^A-Za-z0-9]+")


class Roboflow:
    """The exports of one workspace.

    `key` is sent in the query and appears nowhere else. `wait` is called with the seconds to wait
    while an export is being made. All methods raise Blocked (key, access) and Failure.
    """

    def __init__(
        self, key: str, root: str = ROOT, *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._key = key
        self.root = root
        self._wait = wait

    def export(self, project: str, to: Path) -> str:
        """The URL of a project's newest version, whose COCO zip is downloaded to `to`.

        Also raises DiskFull and OutputError.
        """
        try:
            with Http(Policy()) as http:
                version = self._newest(http, project)
                link = self._link(http, f"{project}/{version}/coco")
                (reply,) = http.fetch([Request(project, link, to)])
            if reply.path is None:
                failure = Failure(reply.detail, item=reply.origin, reason=reply.reason)
                raise self._explain(failure)
        except SacoError as error:
            # Error pages may repeat the key.
            error.what, error.item = self._without_key(error.what), self._without_key(error.item)
            error.args = (error.what, error.item, error.remedy)
            raise error from None
        return f"{without_secrets(self.root)}/{WORKSPACE}/{project}/{version}"

    def _without_key(self, text: str) -> str:
        for secret in (self._key, quote(self._key, safe=""), quote_plus(self._key)):
            # Also the beginning of the key alone, where an error page was cut.
            for length in range(len(secret), min(len(secret), _SHORTEST) - 1, -1):
                text = text.replace(secret[:length], "***")
        return text

    def _newest(self, http: Http, project: str) -> int:
        """The highest version number; 1 where the project does not list its versions."""
        try:
            listed = self._ask(http, project).get("versions")
        except Failure as failure:
            if failure.reason.state is not State.GONE:
                raise
            return 1
        names = [str(each.get("id", "")) for each in listed or () if isinstance(each, dict)]
        numbers = [name.rpartition("/")[2] for name in names]
        return max((int(number) for number in numbers if number.isdecimal()), default=1)

    def _link(self, http: Http, path: str) -> str:
        """The link to the export. Waits while Roboflow makes it."""
        for _ in range(60):
            try:
                export = self._ask(http, path).get("export")
            except Failure as failure:
                raise self._explain(failure) from None
            link = export.get("link") if isinstance(export, dict) else None
            if isinstance(link, str):
                return link
            self._wait(5)
        raise Failure(
            "the export is still being made",
            item=f"{self.root}/{path}",
            remedy="Run again later",
            reason=Reason.TIMEOUT,
        )

    def _ask(self, http: Http, path: str) -> Mapping[str, Any]:
        url = f"{self.root}/{WORKSPACE}/{quote(path)}"
        try:
            answer = untrusted_json.parse(http.get(f"{url}?{urlencode({'api_key': self._key})}"))
        except Blocked as blocked:
            raise self._explain(blocked) from None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Failure("the answer is not JSON", item=url, reason=Reason.NOT_MEDIA)
        return answer

    def _explain(self, error: Blocked | Failure) -> Blocked | Failure:
        if error.reason.state is State.GONE:
            return Blocked(
                f"Roboflow has no such export ({error.what})",
                item=error.item,
                remedy="Use the Hugging Face Hub: `saco annotations`",
                reason=Reason.RAW_MISSING,
            )
        if error.reason is Reason.UNAUTHORIZED:
            error.remedy = "Set ROBOFLOW_API_KEY to a key of your account at app.roboflow.com"
        return error


def original_name(image: Mapping[str, Any]) -> str:
    """The name that a picture had before it was uploaded, from an entry of `images[]`.

    >>> original_name({"file_name": "a_b_jpg.rf.0123abcd.jpg"})
    'a_b.jpg'
    """
    extra = image.get("extra")
    name = extra.get("name") if isinstance(extra, dict) else None
    if isinstance(name, str) and name:
        return name
    given = str(image.get("file_name", ""))
    match = _MADE.fullmatch(given)
    return f"{match['stem']}.{match['suffix']}" if match else given


class Names:
    """Finds the `file_name` behind a name that lost its slashes and other signs on upload."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._exact = names
        self._plain: dict[str, str | None] = {}
        for name in names:
            plain = _WORDS.sub("_", name)
            # Two names that are equal without signs cannot be told apart.
            self._plain[plain] = name if plain not in self._plain else None

    def find(self, name: str) -> str | None:
        """The `file_name` that a name stands for, or None."""
        return name if name in self._exact else self._plain.get(_WORDS.sub("_", name))
