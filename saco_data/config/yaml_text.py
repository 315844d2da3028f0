"""Reads the text of a config: YAML with line numbers; expands variables, refuses placeholders."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from saco_data.config.installation import page
from saco_data.model.errors import ConfigError
from saco_data.model.outside import without_secrets

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_ -]*>")
# An address of object storage and the like, which would become a folder of that name.
_ADDRESS = re.compile(
    r"(https?|s3[an]?|gs|gcs|az|adl|abfss?|wasbs?|hdfs|oss|r2|b2|swift|file)://", re.IGNORECASE
)
# The same with a slash too few or no bucket behind it.
_SLIP = re.compile(r"(https?|s3|gs):(/?[^/]|//$)", re.IGNORECASE)
_BUCKET = re.compile(r"(s3|gs)://[^/]", re.IGNORECASE)
# Keys that name a path, and cannot be a URL either; and those that may be a URL too.
_ONLY_PATH = re.compile(
    r"path_annotations|silver_path|cookies_path|sav_links_file|directory_save"
    r"|[a-z0-9_]+(?<!_download)_path|collections\.[^.]+\.(path|manifests)"
)
_RAW = re.compile(r"[a-z0-9_]+_(raw|index|download_path)|collections\.[^.]+\.(raw|index)\..+")
MAX_PATH_BYTES, MAX_PART_BYTES = 4096, 255
_MAX_NODES = 20_000  # of a config, with what its aliases repeat
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Where:
    """The lines of keys, for messages. `lines`: line number by dotted key."""

    file: Path | None
    lines: dict[str, int]

    def error(self, key: str, what: str, remedy: str) -> ConfigError:
        """The error for a key, with file and line."""
        line = self.lines.get(key) or self.lines.get(key.split(".")[0]) or 1
        return ConfigError(what, item=f"{self.file or 'config'}:{line}: {key}", remedy=remedy)


def read(text: str, file: Path | None) -> tuple[dict[str, Any], Where]:
    """The mapping in a text, and the lines of its keys (dotted for nested ones).

    Raises ConfigError for text that is not a YAML mapping, and for a key that is given twice.
    """
    name = str(file or "config")
    lines: dict[str, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _check_size(node, name)
        if isinstance(node, yaml.MappingNode):
            _note_lines(node, "", lines, name)
        content = None if node is None else loader.construct_document(node)
    except RecursionError:
        raise ConfigError(
            "is nested too deep", item=f"{name}:1", remedy="Write lines of the form `key: value`"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        written = text.splitlines()[line - 1 : line]
        key = re.match(r"\s*([\w.-]+)\s*:", written[0]) if written else None
        item = f"{name}:{line}: {key[1]}" if key else f"{name}:{line}"
        remedy = "Correct that line"
        if r"'\t'" in problem:
            problem, remedy = "there is a tab", "Write blanks in its place: YAML takes no tabs"
        raise ConfigError(f"is not YAML ({problem})", item=item, remedy=remedy) from error
    if content is None:
        return {}, Where(file, {})
    if not isinstance(content, dict):
        raise ConfigError(
            "is not a YAML mapping", item=f"{name}:1", remedy="Write lines of the form `key: value`"
        )
    return content, Where(file, lines)


class _Loader(yaml.SafeLoader):
    """Names the line of a value that looks like a date or a number, and is none."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, TypeError) as error:
            what = f"a value cannot be read: {str(error)[:100]}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from error


def _check_size(root: yaml.Node, name: str) -> None:
    """Raises ConfigError where aliases make the content endless, or very large."""
    count = 0
    pending: list[tuple[yaml.Node, frozenset[int]]] = [(root, frozenset())]
    while pending:
        node, above = pending.pop()
        count += 1
        if id(node) in above or count > _MAX_NODES:
            what = "an alias contains itself" if id(node) in above else "aliases repeat too much"
            line = node.start_mark.line + 1
            key = _key_at(root, node)
            raise ConfigError(
                what, item=f"{name}:{line}{key}", remedy="Write the values without & and *"
            )
        above |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            pending += [(each, above) for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            pending += [(each, above) for each in node.value]


def _key_at(root: yaml.Node, node: yaml.Node) -> str:
    """The top key on or above the line of a node, as the end of an item."""
    if not isinstance(root, yaml.MappingNode):
        return ""
    above = [key for key, _ in root.value if key.start_mark.line <= node.start_mark.line]
    return f": {above[-1].value}" if above else ""


def _note_lines(node: yaml.MappingNode, prefix: str, lines: dict[str, int], name: str) -> None:
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        line = key_node.start_mark.line + 1
        if key in lines:
            raise ConfigError(
                f"is given twice (first on line {lines[key]})",
                item=f"{name}:{line}: {key}",
                remedy="Keep one of the two",
            )
        lines[key] = line
        if isinstance(value_node, yaml.MappingNode):
            _note_lines(value_node, f"{key}.", lines, name)


def expand(value: Any, key: str, where: Where) -> Any:
    """The value with `~` and variables expanded. URLs stay as they are.

    Raises ConfigError for placeholders, unset variables and unknown homes.
    """
    if isinstance(value, dict):
        return {name: expand(inner, f"{key}.{name}", where) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    if why := _unusable(value):
        raise where.error(key, why, f"Correct the value; see {page('config.md')}")
    left_over = _PLACEHOLDER.search(value)
    if left_over:
        raise where.error(
            key,
            f"the placeholder {left_over[0]} was left in",
            "Write your own value, or remove the line",
        )

    def variable(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise where.error(key, f"${name} is not set", f"Set {name}, or write the value itself")
        return os.environ[name]

    if key == "silver_path" and is_bucket(value):
        if without_user(value) != value:
            raise where.error(
                key, "an address with keys in it", "Give keys in the environment, not here"
            )
        return value.rstrip("/")
    if is_url(value) and not _ONLY_PATH.fullmatch(key):
        return value  # a signed URL may contain a dollar sign
    is_path = _ONLY_PATH.fullmatch(key) or _RAW.fullmatch(key)
    if is_path and (slip := _SLIP.match(value)):
        raise where.error(
            key,
            f"{value!r} is no address",
            f"Write {slip[1].lower()}://, then the bucket or server, then the path",
        )
    address = _ADDRESS.match(value)
    if address and is_path:
        raise where.error(
            key,
            f"{address[0]} is an address, and a path is needed: a bucket is only possible as "
            "silver_path (s3://, gs://)",
            "Write the path of a folder or file; a bucket can be mounted as a folder",
        )
    value = _VARIABLE.sub(variable, value)
    home = os.path.expanduser(value)  # noqa: PTH111 - the text may not be a path
    if home.startswith("~"):
        raise where.error(key, f"{value!r} names an unknown home", "Write the whole path")
    return home


def _unusable(value: str) -> str:
    """Why no path and no other value of a config can be this text; "" if it can."""
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        return "holds half a surrogate pair"
    if b"\0" in encoded:
        return "holds a null character"
    if not is_url(value) and (
        len(encoded) >= MAX_PATH_BYTES
        or ("/" in value and max(map(len, encoded.split(b"/"))) > MAX_PART_BYTES)
    ):
        return f"is too long for a path ({len(encoded)} bytes)"
    return ""


def is_url(value: str) -> bool:
    """Whether a config value is a URL rather than a path."""
    return value.startswith(("http://", "https://"))


def is_bucket(place: object) -> bool:
    """Whether a place is the address of a bucket that we can write to: `s3://bucket/prefix`."""
    return isinstance(place, str) and _BUCKET.match(place) is not None


def without_user(value: str) -> str:
    """A URL or path without user, password and query: see `model.outside.without_secrets`.

    >>> without_user("ftp://me:secret@host/a")
    'ftp://host/a'
    """
    return without_secrets(value)
