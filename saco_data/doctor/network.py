"""`saco doctor --online`: one harmless request to each source, by the clients of a run."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset
from saco_data.model.errors import Blocked, SacoError
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.sources.diagnosis import CONNECT_SECONDS, REMEDY

SECONDS = 20.0  # for all requests together: they are sent at the same time
SKEW = 60.0  # allowed error of the clock in seconds; S3 refuses signatures from 15 minutes on

Question = Callable[[], Finding]


def examine(
    settings: Settings, subsets: Sequence[Subset], *, seconds: float = SECONDS
) -> Iterator[Finding]:
    """One finding each for the hub, the clock and every source, in this order, within `seconds`."""
    questions: dict[str, Question] = {
        "hub": lambda: _check_hub(subsets[0]),
        "clock": lambda: _check_clock(settings),
    }
    for subset in subsets:
        questions[f"{subset.id} online"] = subset.source.diagnose_online
    answers: queue.SimpleQueue[tuple[str, Finding]] = queue.SimpleQueue()
    for name, question in questions.items():
        # Daemon threads, not a pool: a server that never answers must not delay the end.
        work = threading.Thread(target=_ask, args=[name, question, answers], daemon=True)
        work.start()
    findings: dict[str, Finding] = {}
    deadline = time.monotonic() + seconds
    while len(findings) < len(questions) and (left := deadline - time.monotonic()) > 0:
        try:
            name, finding = answers.get(timeout=left)
        except queue.Empty:
            break
        findings[name] = finding
    for name in questions:
        late = warn(name, f"no answer within {seconds:.0f} s", "Check the network and the proxy")
        yield findings.get(name, late)


def _ask(name: str, question: Question, answers: queue.SimpleQueue[tuple[str, Finding]]) -> None:
    try:
        answers.put((name, question()))
    except Blocked as error:
        answers.put((name, fail(name, _describe(error), error.remedy)))
    except SacoError as error:
        answers.put((name, warn(name, _describe(error), REMEDY)))
    except Exception as error:
        # Messages of other libraries may contain whole addresses, with secrets.
        answers.put((name, warn(name, f"could not be asked ({type(error).__name__})", REMEDY)))


def _describe(error: SacoError) -> str:
    host = urlsplit(error.item).hostname
    return f"{host}: {error.what}" if host else error.what


def _check_hub(subset: Subset) -> Finding:
    from saco_data.transports.services.hugging_face import Hub

    config = subset.config
    if not config.hub_dataset:
        return ok("hub", "not asked: these annotation files are not on the hub")
    token, endpoint = config.keys.hf_token, config.keys.endpoints.get("hub")
    hub = Hub(config.hub_dataset, endpoint, token.get_secret_value() if token else None)
    remote = hub.look(config.manifest.annotations.file)
    return ok("hub", f"{config.hub_dataset} is open to you (revision {remote.revision[:12]})")


def _check_clock(settings: Settings) -> Finding:
    import requests

    url = settings.keys.endpoints.get("hub") or "https://huggingface.co"
    try:
        answer = requests.head(url, timeout=CONNECT_SECONDS, allow_redirects=False)
        server_time = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError) as error:
        why = f"not compared: {urlsplit(url).hostname} gave no time ({type(error).__name__})"
        return warn("clock", why, REMEDY)
    off = time.time() - server_time
    if abs(off) > SKEW:
        return warn("clock", f"{abs(off):.0f} s {'fast' if off > 0 else 'slow'}", "Set the clock")
    return ok("clock", f"right to {SKEW:.0f} s")
