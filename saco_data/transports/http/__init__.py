"""Files over HTTP: many small ones, few large ones, and archives that are read in place."""

from __future__ import annotations

from saco_data.transports.http.client import Http
from saco_data.transports.http.range_reader import RemoteFile

__all__ = ["Http", "RemoteFile"]
