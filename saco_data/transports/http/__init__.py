"""Files over HTTP: many small ones, few huge ones, and archives read in place."""

from __future__ import annotations

from saco_data.transports.http.client import Http
from saco_data.transports.http.range_reader import RemoteFile
from saco_data.transports.http.types import Expect, FileChanged, HttpFailure, Policy, Reply, Request

__all__ = [
    "Expect",
    "FileChanged",
    "Http",
    "HttpFailure",
    "Policy",
    "RemoteFile",
    "Reply",
    "Request",
]
