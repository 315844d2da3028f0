"""Sources whose raw medium is an extracted folder, an archive, or the URL of one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from saco_data.config.yaml_text import is_url, without_user
from saco_data.model.errors import Blocked, SacoError
from saco_data.model.finding import Finding, fail
from saco_data.model.reasons import Reason
from saco_data.sources.base import Source
from saco_data.sources.diagnosis import check_link, check_local
from saco_data.transports.link_expiry import expiry, when


class RawMediumSource(Source):
    """Knows which raw medium there is, and whether it can be used. Subclasses fetch from it."""

    def raw(self) -> str | Path | None:
        """The raw medium: what the config names, else the manifest's URL. Raises Blocked."""
        if "archive" in self.manifest.endpoints:
            default: str | None = self.config.endpoint("archive")
        else:
            default = None
        return self.config.raw or default

    def find_raw(self) -> str | Path | None:
        """As `raw`, but None where it cannot be determined: fetching reports why."""
        try:
            return self.raw()
        except Blocked:
            return None

    def require_raw(self) -> str | Path:
        """The raw medium, which exists if it is a path. Raises Blocked."""
        raw = self.raw()
        if raw is None:
            raise Blocked(
                "the raw medium is not at hand",
                item=self.name,
                remedy=f"{self.manifest.access.steps} ({self.manifest.access.page})",
                reason=Reason.RAW_MISSING,
            )
        if isinstance(raw, Path) and not raw.exists():
            raise Blocked(
                f"{without_user(str(raw))} does not exist",
                item=self.name,
                remedy=f"Correct {self._config_key} in the config",
                reason=Reason.RAW_MISSING,
            )
        if isinstance(raw, Path) and not (raw.is_file() or raw.is_dir()):
            raise Blocked(
                f"{raw} is a pipe, socket or device, not a file",
                item=self.name,
                remedy="Name the archive itself, or the extracted folder",
                reason=Reason.RAW_MISSING,
            )
        if isinstance(raw, str) and not is_url(raw):
            raise Blocked(
                f"`endpoints: {self.name}_archive` is not a URL of http(s)",
                item=self.name,
                remedy="Correct it in the config",
                reason=Reason.RAW_MISSING,
            )
        return raw

    @property
    def _config_key(self) -> str:
        """The key that names the raw medium."""
        manifest = self.manifest
        return manifest.raw.config_key or f"collections.{manifest.collection}.raw.{manifest.name}"

    def is_local(self) -> bool:
        return isinstance(self.find_raw(), Path)

    def unpacks(self) -> bool:
        raw = self.find_raw()
        return self.manifest.frames and isinstance(raw, Path) and not raw.is_dir()

    def location(self) -> str:
        raw = self.find_raw()
        if isinstance(raw, Path):
            try:
                status = raw.stat()
            except OSError:
                return str(raw)
            # A folder may be completed at any time; an archive changes as a whole.
            return f"{raw} {status.st_size} {status.st_mtime_ns}" if raw.is_file() else str(raw)
        if raw is None:
            return ""
        # A signed link differs each time and by host: the name of its archive is what stays.
        address, signed, _ = raw.partition("?")
        return address.rpartition("/")[2] if signed else without_user(address)

    def missing_requirement(self) -> str:
        try:
            raw = self.require_raw()
        except Blocked as error:
            return f"{error.what}. {error.remedy}"
        if isinstance(raw, Path) and raw.is_file():
            from saco_data.transports.archive import zips

            if problem := zips.find_problem(raw):
                return f"{raw} {problem}. {zips.DOWNLOAD}"
        ends = expiry(raw) if isinstance(raw, str) else None
        if ends is not None and ends < time.time():
            return f"the link expired on {when(ends)}. {self.manifest.access.steps}"
        return ""

    def diagnose(self) -> Iterator[Finding]:
        access = self.manifest.access
        try:
            raw = self.raw()
        except Blocked as error:
            yield fail(self.name, f"{error.item}: {error.what}", error.remedy)
            return
        except SacoError as error:
            yield fail(self.name, error.what, error.remedy)
            return
        if isinstance(raw, str):
            yield check_link(self.name, raw, f"{access.steps} ({access.page})")
        elif raw is not None and not self.missing_requirement():
            yield check_local(self.name, raw)
        else:
            what, _, remedy = self.missing_requirement().partition(". ")
            yield fail(self.name, what, remedy)

    def probe_address(self) -> str | None:
        raw = self.raw()
        return raw if isinstance(raw, str) else None
