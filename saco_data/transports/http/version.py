"""Which version of a file an answer carries, by ETag, date and size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a file from another."""

    etag: str = ""
    last_modified: str = ""
    size: int | None = None

    @property
    def validator(self) -> str:
        """What If-Range may hold: a strong ETag, else the date; "" if the server gave neither."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    def differs(self, other: Version) -> bool:
        """Whether the two are certainly different versions."""
        if self.size is not None and other.size is not None and self.size != other.size:
            return True
        if self.etag and other.etag:
            # Equal weak ETags promise the same content, but not the same bytes.
            weak = self.etag.startswith("W/") or other.etag.startswith("W/")
            if not weak or self.etag.removeprefix("W/") != other.etag.removeprefix("W/"):
                return self.etag != other.etag
        dates = self.last_modified, other.last_modified
        return all(dates) and dates[0] != dates[1]

    def confirms(self, known: Version) -> bool:
        """Whether this is certainly the version `known`, by its validator."""
        return known.validator != "" and known.validator in (self.etag, self.last_modified)
