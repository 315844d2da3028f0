"""What each subset needs of its user: annotation files, tokens, keys, cookies, links, archives."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from saco_data import sources
from saco_data.config.settings import Settings
from saco_data.model.errors import Blocked, SacoError
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.sources import Source, requirements
from saco_data.sources.archives import ArchiveSource
from saco_data.transports.link_expiry import expiry, when
from saco_data.transports.s3 import keys
from saco_data.transports.youtube.cookies import check_cookies

DAY = 86400.0
EGO4D_DAYS = 14  # what Ego4D's keys last
SOON_DAYS = 2
# What the archives that the sources publish begin with; a plain tar has its mark further in.
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")
_TAR_MARK = (257, b"ustar")


def examine(settings: Settings, subsets: Sequence[str]) -> Iterator[Finding]:
    """Findings for the token, the annotation files, and each subset's raw media."""
    yield _token(settings)
    yield from _annotations(settings, subsets)
    for subset in subsets:
        yield from _raw(settings, subset)


def _token(settings: Settings) -> Finding:
    given = settings.keys.hf_token
    if given and not re.fullmatch(r"hf_[A-Za-z0-9]{20,}", given.get_secret_value()):
        remedy = "Copy it again from huggingface.co/settings/tokens"
        return warn("hf_token", "does not look like a token (hf_...)", remedy)
    if requirements.has_token(settings):
        return ok("hf_token", "a Hugging Face token is at hand")
    remedy = "Accept the terms at huggingface.co/datasets/facebook/SACo-Silver and set HF_TOKEN"
    return warn("hf_token", "no Hugging Face token: annotation files cannot be fetched", remedy)


def _annotations(settings: Settings, subsets: Sequence[str]) -> Iterator[Finding]:
    name, there, to_come, missing = "annotations", [], [], []
    for subset in subsets:
        path = settings.pristine(subset)
        if path.is_file() and not path.stat().st_size:
            remedy = f"Remove it and run `saco annotations {subset}`"
            yield fail(name, f"{path} is empty", remedy)
        elif path.is_file():
            there.append(subset)
        elif requirements.annotation_file(settings, subset):
            missing.append(subset)
        else:
            to_come.append(subset)
    if there:
        yield ok(name, f"at hand for {', '.join(there)}")
    if to_come:
        yield ok(name, f"`saco prepare` will fetch those of {', '.join(to_come)}")
    if missing:
        _, _, remedy = requirements.annotation_file(settings, missing[0]).partition(". ")
        remedy = f"{remedy}, or put the files into {settings.annotations}"
        yield fail(name, f"none for {', '.join(missing)}", remedy)


def _raw(settings: Settings, subset: str) -> Iterator[Finding]:
    source = sources.get(subset, settings)
    if subset == "ego4d":
        yield _aws(settings, source)
    elif subset == "yt1b":
        yield from _cookies(settings, source)
    elif isinstance(source, ArchiveSource):
        yield _archive(settings, source)
    else:
        yield ok(subset, "open to everybody")


def _aws(settings: Settings, source: Source) -> Finding:
    given = settings.keys
    if bool(given.aws_access_key_id) != bool(given.aws_secret_access_key):
        return fail("ego4d", "the config gives one of the two AWS keys", "Give both, or neither")
    found = keys.find(given.aws_access_key_id, given.aws_secret_access_key)
    access = source.manifest.access
    renew = f"{access.steps} ({access.page})"
    if found is None:
        return fail("ego4d", "no AWS keys", renew)
    if found.well_formed is False:
        return warn("ego4d", f"the AWS keys of {found.where} do not look like keys", renew)
    if found.file is None:
        return ok("ego4d", f"AWS keys from {found.where}; they last {EGO4D_DAYS} days")
    days = (time.time() - found.file.stat().st_mtime) / DAY
    what = f"AWS keys in {found.where}, written {days:.0f} days ago"
    if days > EGO4D_DAYS:
        return warn("ego4d", f"{what}: Ego4D's last {EGO4D_DAYS}", renew)
    return ok("ego4d", f"{what} (Ego4D's last {EGO4D_DAYS})")


def _cookies(settings: Settings, source: Source) -> Iterator[Finding]:
    given, access = settings.keys.cookies_path, source.manifest.access
    if not given:
        remedy = f"{access.steps} ({access.page})"
        yield warn("yt1b", "no cookies: YouTube may ask for a login", remedy)
        return
    path = settings.path(given)
    problems = check_cookies(path)
    for problem in problems:
        say = fail if problem.reason else warn
        yield say("yt1b", f"cookies {path}: {problem.what}", problem.remedy)
    if not problems:
        yield ok("yt1b", f"cookies of a logged-in session in {path}")


def _archive(settings: Settings, source: ArchiveSource) -> Finding:
    access = source.manifest.access
    try:
        raw = source.raw()
    except Blocked as error:
        return fail(source.name, f"{error.item}: {error.what}", error.remedy)
    except SacoError as error:
        return fail(source.name, error.what, error.remedy)
    if raw is None or isinstance(raw, Path):
        return _local(source, raw)
    ends = expiry(raw)
    renew = f"{access.steps} ({access.page})"
    if ends is None:
        return ok(source.name, f"from {_host(raw)}")
    if ends < time.time():
        return fail(source.name, f"the link ran out on {when(ends)}", renew)
    if ends < time.time() + SOON_DAYS * DAY:
        return warn(source.name, f"the link runs out on {when(ends)}", renew)
    return ok(source.name, f"from {_host(raw)}, link good until {when(ends)}")


def _local(source: ArchiveSource, raw: Path | None) -> Finding:
    need = source.needs()
    if raw is None or need:
        what, _, remedy = need.partition(". ")
        return fail(source.name, what, remedy)
    try:
        if raw.is_dir():
            empty = next(raw.iterdir(), None) is None
            if empty:
                return fail(source.name, f"{raw} is empty", "Extract the archive there again")
            return ok(source.name, f"folder {raw}")
        with raw.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        return fail(source.name, f"{raw} cannot be read ({error.strerror})", "Make it readable")
    at, mark = _TAR_MARK
    if not head.startswith(_MAGIC) and head[at : at + len(mark)] != mark:
        return fail(source.name, f"{raw} is no archive", "Download it again; it may be a web page")
    return ok(source.name, f"archive {raw}")


def _host(url: str) -> str:
    """The host of a URL: the rest may be secret."""
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or "?"
