"""Ego4D clips through the official `ego4d` CLI.

Its exit status is not used: it is 0 where objects are missing, and 1 where a single uid is unknown.
What counts are the files that are there afterwards.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from saco_data.transports.official import processes

# What its uid file may hold. A blank or an upper-case letter makes it refuse the whole batch.
_UID = re.compile(r"[a-z0-9][a-z0-9._-]{0,200}")
_TAIL = 1 << 20
# The CLI requires a profile and then ignores the keys of the environment. This program, which the
# profile names, prints them; so they are neither on disk nor in a process list.
_HAND_OVER = (
    "import json,os;g=os.environ.get;print(json.dumps({'Version':1,"
    "'AccessKeyId':g('AWS_ACCESS_KEY_ID'),'SecretAccessKey':g('AWS_SECRET_ACCESS_KEY'),"
    "'SessionToken':g('AWS_SESSION_TOKEN')}))"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What the CLI did: `arrived` files by uid, `unknown` uids, its last line, exit `status`."""

    arrived: dict[str, Path] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    said: str = ""
    status: int = 0


def accepts(uid: str) -> bool:
    """Whether the CLI accepts a uid."""
    return _UID.fullmatch(uid) is not None


def unknown_in(stderr: str) -> frozenset[str]:
    """The uids that the CLI says are not in the manifest: a Python set on its last line."""
    line = stderr.rstrip().rsplit("\n", 1)[-1].strip()
    if not line.startswith("{"):
        return frozenset()
    try:
        value = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return frozenset()
    if not isinstance(value, set):
        return frozenset()
    return frozenset(uid for uid in value if isinstance(uid, str))


class Ego4dCli:
    """Fetches clips of version v1 by uid.

    Keys: the two given, else those of the environment, else the profile `[default]`.
    """

    def __init__(
        self, *, access_key: SecretStr | None = None, secret_key: SecretStr | None = None
    ) -> None:
        self.program = processes.find("ego4d")
        self.keys: dict[str, str] = {}
        if access_key and secret_key:
            self.keys = {
                "AWS_ACCESS_KEY_ID": access_key.get_secret_value(),
                "AWS_SECRET_ACCESS_KEY": secret_key.get_secret_value(),
                "AWS_SESSION_TOKEN": "",
            }

    def fetch(
        self, uids: Collection[str], folder: Path, manifest: Path, stop: threading.Event
    ) -> Result:
        """Files by uid, after one run of the CLI and a second one without the unknown uids.

        `folder` is emptied first; `manifest` is the clip manifest that the CLI reads. Ends early,
        with what is there, once `stop` is set. Raises ValueError for a uid that the CLI does not
        accept.
        """
        if not all(map(accepts, uids)):
            raise ValueError("a uid that the ego4d CLI does not accept")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        result = self._run(uids, folder, manifest, stop)
        unknown = result.unknown & set(uids)
        rest = [uid for uid in uids if uid not in unknown]
        if unknown and rest:
            result = self._run(rest, folder, manifest, stop)
        paths = {uid: folder / "v1" / "clips" / f"{uid}.mp4" for uid in rest}
        arrived = {uid: path for uid, path in paths.items() if path.is_file()}
        return Result(arrived, frozenset(unknown), result.said, result.status)

    def _run(
        self, uids: Collection[str], folder: Path, manifest: Path, stop: threading.Event
    ) -> Result:
        with tempfile.TemporaryDirectory(prefix="saco-ego4d-") as name:
            private = Path(name)
            wanted = private / "uids.txt"
            wanted.write_text("\n".join(uids), encoding="ascii")
            arguments = [self.program, "--output_directory", str(folder)]
            arguments += ["--datasets", "clips", "--version", "v1", "--yes", "--no-metadata"]
            arguments += ["--manifest-override-path", str(manifest)]
            arguments += ["--video_uid_file", str(wanted)]
            with (private / "stderr").open("w+b") as stderr:
                with (
                    (private / "stdout").open("wb") as stdout,
                    processes.running(
                        arguments, self._environment(private), stdout, stderr
                    ) as process,
                ):
                    while process.poll() is None and not stop.wait(0.05):
                        pass
                stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _TAIL))
                text = stderr.read().decode("utf-8", "replace")
        return Result({}, unknown_in(text), self._last_words(text), process.returncode)

    def _environment(self, private: Path) -> dict[str, str]:
        """Variables that lead the CLI to a profile with our keys; none if it finds its own."""
        if not self.keys and "AWS_ACCESS_KEY_ID" not in os.environ:
            return {}
        config = private / "config"
        command = shlex.join((sys.executable, "-c", _HAND_OVER))
        region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
        config.write_text(
            f"[default]\ncredential_process = {command}\n"
            + (f"region = {region}\n" if region else ""),
            encoding="utf-8",
        )
        return {
            **self.keys,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(private / "none"),
        }

    def _last_words(self, stderr: str) -> str:
        """The last line of its messages, at most 200 characters, without keys."""
        lines = [line.strip() for line in re.split(r"[\r\n]", stderr) if line.strip()]
        words = lines[-1] if lines else ""
        for secret in filter(None, (*self.keys.values(), os.environ.get("AWS_SECRET_ACCESS_KEY"))):
            words = words.replace(secret, "(...)")
        words = re.sub(r"\?\S*|\b(?:AKIA|ASIA)\w+", "(...)", words)
        return "".join(char for char in words if char.isprintable())[:200]
