"""Data inside a page: gzipped JSON as base64, which the page's own script unpacks."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any


def pack(content: Any) -> str:
    """Plain data as base64 of gzipped JSON; the same data give the same text."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    packed = gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)
    return base64.b64encode(packed).decode()
