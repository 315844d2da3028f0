"""Text from outside: safe to print, safe to remember, and quickly so."""

from __future__ import annotations

import logging
import subprocess
import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saco_data.dataset.pairs import plain
from saco_data.model.errors import Blocked
from saco_data.model.outside import one_line, printable, without_secrets
from saco_data.model.safe_logging import SafeFormatter
from saco_data.report.console import readable
from saco_data.transports.youtube.messages import classify, clean

SAFE: list[Callable[[str], str]] = [
    printable,
    one_line,
    plain,
    lambda text: readable("nga", text),
    lambda text: str(Blocked(text, item=text, remedy=text)),
    clean,
]
HOSTILE = [
    "\x1b[2Jcleared",
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mred",
    "\x9d0;title\x9c",
    "\x00\x07\x08\x7f",
    "abc\u202egpj.exe\u202c",
    "\u2066\u2067\u2069\u200e\u200f\u061c\ufeff",
    "\ud800half",
    "a\rb",
]


@pytest.mark.parametrize("safe", SAFE)
@given(st.text() | st.sampled_from(HOSTILE))
@example("".join(HOSTILE))
def test_nothing_controls_a_terminal(safe: Callable[[str], str], text: str) -> None:
    for char in safe(text):
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs"), repr(char)
        assert char not in "\u2028\u2029"


@given(st.text())
def test_ordinary_text_stays(text: str) -> None:
    if text.isprintable():
        assert printable(text) == one_line(text) == text


@pytest.mark.parametrize("safe", SAFE)
def test_no_line_is_forged(safe: Callable[[str], str]) -> None:
    lines = safe("a.jpg\n2026-01-01 00:00:00 nga: done").split("\n")
    assert not any(line.startswith("2026") for line in lines)


SECRET = "S3CRET"
ADDRESSES = [
    "https://me:{}@host/a",
    "https://{}@host/a",
    "https://me:pa/{}@host/a",
    "https://me:pa?{}@host/a",
    "https://me:p@{}@host/a",
    "https:/me:{}@host/a",
    "ftp://me:{}@host:21/a",
    "s3://me:{}@bucket/key",
    "https://host/a?X-Amz-Signature={}",
    "https://host/a?v=1&sig={}",
    "https://host/a?{}",
    "https://host/a#access_token={}",
    "/a/b?api_key={}",
    "https://[::1]:80/a?key={}",
    "https://me:{}",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", ["{}", "from {} and more", "'{}'", "({})", "x={}\nand"])
def test_addresses_lose_their_secrets(address: str, around: str) -> None:
    text = around.format(address.format(SECRET))
    assert SECRET not in without_secrets(text)
    assert without_secrets(without_secrets(text)) == without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://www.youtube.com/watch?v=",
        "https://www.youtube.com/watch?v=abcdefghijk",
        "https://host:8080/a@b/c",
        "s3://bucket/a/b.mp4",
        "gs://gresearch/robotics/Fri_Jul__7_18:50:36_2023/1.mp4",
        "https://host/a.zip#100k/train/a=b.jpg",
        "/data/raw?/a.zip 12 34",
        "https://api.nga.gov/iiif/x/full/!640,640/0/default.jpg",
    ],
)
def test_addresses_without_secrets_stay(text: str) -> None:
    assert without_secrets(text) == text


LONG = [
    text * (200_000 // len(text))
    for text in ("/", ":/", "?", "?a", "https://", "\x1b", "\x1b]0", "@", "#sig", " ", "a", "?a=")
]


@pytest.mark.parametrize("of", [printable, one_line, without_secrets, clean, classify])
def test_the_time_grows_with_the_length_alone(of: Callable[[str], object]) -> None:
    # Quadratic work on these takes minutes: the limit of the test, not a clock, finds it.
    for text in LONG:
        for one in (text, f"https://h/{text}", f"Video unavailable{text}x"):
            of(one)


LOGGERS = [
    "saco_data.transports.http",
    "aiohttp.client",
    "asyncio",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "requests",
    "httpx",
    "httpcore.http11",
    "huggingface_hub",
    "huggingface_hub.file_download",
    "huggingface_hub.utils._http",
    "botocore.endpoint",
    "botocore.auth",
    "boto3",
    "fathomnet.api",
    "yt_dlp",
]
CLIENTS = """
import logging, sys
from saco_data.cli.main import saco
import saco_data.transports.http, saco_data.transports.s3, saco_data.transports.youtube.session
import saco_data.transports.services.hugging_face, saco_data.transports.services.fathomnet
try:
    saco.main(["-v", "status", "--help"], standalone_mode=False)
except BaseException:
    pass
for name in sys.argv[2:]:
    for level in (logging.DEBUG, logging.INFO, logging.ERROR):
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).log(level, "asked %s", sys.argv[1])
        try:
            raise ValueError(sys.argv[1])
        except ValueError:
            logging.getLogger(name).log(level, "failed", exc_info=True)
"""


def test_no_logger_of_a_client_prints_a_secret() -> None:
    words = " ".join(
        [*(each.format(SECRET) for each in ADDRESSES), f"'Authorization': 'Bearer {SECRET}'"]
    )
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS, f"{words}\n2026 forged \x1b[2J", *LOGGERS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "asked" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert "\x1b" not in done.stderr and "\n2026" not in done.stderr


def test_a_record_keeps_its_level_and_name() -> None:
    record = logging.LogRecord("a.b", logging.INFO, "", 0, "see %s", ("https://u:p@h/x",), None)
    assert SafeFormatter(logging.BASIC_FORMAT).format(record) == "INFO:a.b:see https://h/x"
