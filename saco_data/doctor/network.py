"""`saco doctor --online`: one harmless request a source, by the clients that a run uses."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from saco_data import sources
from saco_data.config.settings import Settings
from saco_data.model.errors import Blocked, SacoError
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.model.reasons import State
from saco_data.sources import requirements
from saco_data.sources.archives import ArchiveSource

SECONDS = 20.0  # for all of them: they are asked at the same time
SKEW = 60.0  # seconds; signatures of S3 fail at 15 minutes
_CONNECT = 8.0

Question = Callable[[], Finding]


def examine(
    settings: Settings, subsets: Sequence[str], *, seconds: float = SECONDS
) -> Iterator[Finding]:
    """One finding for the hub, the clock and each source, in this order."""
    questions: dict[str, Question] = {
        "hub": lambda: _hub(settings, subsets[0]),
        "clock": lambda: _clock(settings),
    }
    for subset in subsets:
        questions[f"{subset} online"] = _question(settings, subset)
    answers: queue.SimpleQueue[tuple[str, Finding]] = queue.SimpleQueue()
    for name, question in questions.items():
        # Not a pool: nobody waits for one that never answers.
        work = threading.Thread(target=_ask, args=[name, question, answers], daemon=True)
        work.start()
    found: dict[str, Finding] = {}
    deadline = time.monotonic() + seconds
    while len(found) < len(questions) and (left := deadline - time.monotonic()) > 0:
        try:
            name, finding = answers.get(timeout=left)
        except queue.Empty:
            break
        found[name] = finding
    for name in questions:
        late = warn(name, f"no answer within {seconds:.0f} s", "Check the network and the proxy")
        yield found.get(name, late)


def _ask(name: str, question: Question, answers: queue.SimpleQueue[tuple[str, Finding]]) -> None:
    try:
        answers.put((name, question()))
    except Blocked as error:
        answers.put((name, fail(name, _said(error), error.remedy)))
    except SacoError as error:
        answers.put((name, warn(name, _said(error), _REMEDY)))
    except Exception as error:
        # Texts of other people's errors may hold whole addresses.
        answers.put((name, warn(name, f"could not be asked ({type(error).__name__})", _REMEDY)))


_REMEDY = "Check the network and the proxy, or run `saco doctor --online` again"


def _said(error: SacoError) -> str:
    host = urlsplit(error.item).hostname
    return f"{host}: {error.what}" if host else error.what


def _hub(settings: Settings, subset: str) -> Finding:
    from saco_data.sources.annotation_files import DATASET
    from saco_data.transports.services.hugging_face import Hub

    token, endpoint = settings.keys.hf_token, settings.keys.endpoints.get("hub")
    hub = Hub(DATASET, endpoint, token.get_secret_value() if token else None)
    found = hub.look(settings.manifest(subset).annotations.file)
    return ok("hub", f"{DATASET} is open to you (revision {found.revision[:12]})")


def _clock(settings: Settings) -> Finding:
    import requests

    place = settings.keys.endpoints.get("hub") or "https://huggingface.co"
    try:
        answer = requests.head(place, timeout=_CONNECT, allow_redirects=False)
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError) as error:
        why = f"not compared: {urlsplit(place).hostname} told no time ({type(error).__name__})"
        return warn("clock", why, _REMEDY)
    off = time.time() - theirs
    if abs(off) > SKEW:
        return warn("clock", f"{abs(off):.0f} s {'fast' if off > 0 else 'slow'}", "Set the clock")
    return ok("clock", f"right to {SKEW:.0f} s")


def _question(settings: Settings, subset: str) -> Question:
    name = f"{subset} online"
    if subset == "ego4d":
        return lambda: _ego4d(settings, name)
    if subset == "fathomnet":
        return lambda: _fathomnet(settings, name)
    return lambda: _over_http(settings, subset, name)


def _over_http(settings: Settings, subset: str, name: str) -> Finding:
    """The first byte of what the source relies on."""
    url = _address(settings, subset)
    if url is None:
        return ok(name, "nothing to ask: it is on this machine, or not named yet")
    from saco_data.transports.base import Failure, Policy
    from saco_data.transports.http import Http

    host = urlsplit(url).hostname
    policy = Policy(concurrency=1, attempts=1, connect_timeout=_CONNECT, stall_timeout=_CONNECT)
    try:
        with Http(policy) as http:
            http.open(url)
    except Failure as failure:
        if subset in _STANDS_FOR and failure.reason.state is State.GONE:
            return ok(name, f"{host} answers")
        return warn(name, f"{host}: {failure.what}", _REMEDY)
    return ok(name, f"{host} answers")


# Sources without one document that all items rely on: that their host answers is all there is.
_STANDS_FOR = ("droid", "yt1b")


def _address(settings: Settings, subset: str) -> str | None:
    source = sources.get(subset, settings)
    if isinstance(source, ArchiveSource):
        raw = source.raw()
        return raw if isinstance(raw, str) else None
    if subset == "nga":
        return settings.endpoint(subset, "catalogue")
    if subset == "droid":
        return settings.endpoint(subset, "https")
    watch = urlsplit(settings.endpoint(subset, "watch"))
    return f"{watch.scheme}://{watch.netloc}/robots.txt"


def _ego4d(settings: Settings, name: str) -> Finding:
    if requirements.raw_media(settings, "ego4d"):
        return ok(name, "not asked: there are no keys")
    from saco_data.transports.base import Failure, Policy
    from saco_data.transports.s3 import S3

    access = settings.manifest("ego4d").access
    s3 = S3(
        Policy(concurrency=1),
        access_key=settings.keys.aws_access_key_id,
        secret_key=settings.keys.aws_secret_access_key,
        remedy=f"{access.steps} ({access.page})",
    )
    remedy = "Correct `endpoints: ego4d_manifest` in the config"
    try:
        with s3:
            s3.head(settings.endpoint("ego4d", "manifest"))
    except ValueError:
        return fail(name, "the clip manifest is not of the form s3://bucket/key", remedy)
    except Failure as failure:
        if failure.reason.state is State.FAILED:
            return warn(name, failure.what, _REMEDY)
        return fail(name, failure.what, remedy)
    return ok(name, "the keys open the clip manifest")


def _fathomnet(settings: Settings, name: str) -> Finding:
    from saco_data.transports.base import Policy
    from saco_data.transports.services.fathomnet import FathomNetApi

    place = settings.endpoint("fathomnet", "api")
    policy = Policy(attempts=1, connect_timeout=_CONNECT, stall_timeout=_CONNECT)
    with FathomNetApi(place, policy, threading.Event()) as api:
        api.look_up(["00000000-0000-0000-0000-000000000000"])
    return ok(name, f"{urlsplit(place).hostname} answers")
