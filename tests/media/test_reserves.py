"""HDR video and concealed damage: frames are made, and known for what they are, to the card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from saco_data.media.frames import Frame, extract
from saco_data.report import page
from saco_data.sandbox.packing import pack_tar
from saco_data.share import card
from saco_data.share.paragraph import write_paragraph
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import items, prepare
from tests.media import corpus

PQ, HLG, BT709 = 16, 18, 1


def hdr(path: Path, transfer: int, codec: str = "libx265") -> Path:
    """A video of 30 frames that names a transfer characteristic."""
    names = {PQ: "smpte2084", HLG: "arib-std-b67", BT709: "bt709"}
    options = {
        "libx265": {"x265-params": f"log-level=none:transfer={names[transfer]}"},
        "libx264": {"x264-params": f"transfer={names[transfer]}"},
    }[codec]
    video = corpus.Video(codec=codec, options=options, frames=30)
    video.write(path)
    return path


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize(
    ("transfer", "name"), [(PQ, "smpte2084"), (HLG, "arib-std-b67"), (BT709, "bt709")]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])  # the last one is decoded in sequence
def test_the_transfer_characteristic_is_known(
    tmp_path: Path, codec: str, transfer: int, name: str, suffix: str
) -> None:
    frames = list(extract(hdr(tmp_path / f"v.{suffix}", transfer, codec), [0, 17]))
    assert [each.transfer for each in frames if isinstance(each, Frame)] == [name, name]


@pytest.mark.parametrize("kind", ["damaged.mp4", "damaged.mkv", "damaged.ts", "damaged_hevc.mp4"])
def test_what_was_made_up_is_flagged_until_the_next_key_frame(tmp_path: Path, kind: str) -> None:
    path = corpus.make(kind, tmp_path)
    made = [each for each in extract(path, range(60)) if isinstance(each, Frame)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        tainted, expected = False, []
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in decoded:
                tainted = frame.is_corrupt or (tainted and not frame.key_frame)
                expected.append(tainted)
    assert [each.concealed for each in made] == expected[: len(made)]


@pytest.mark.parametrize("kind", ["h264_b_frames.mp4", "hevc.mp4"])
def test_a_sound_video_has_no_flag(tmp_path: Path, kind: str) -> None:
    made = list(extract(corpus.make(kind, tmp_path), range(20)))
    assert not any(each.concealed for each in made if isinstance(each, Frame))


def test_card_page_and_history_count_them(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    first, second, *_ = subset.raw
    sizes = {entry.file_name: entry for entry in subset.entries}
    assert sizes
    with av.open(str(write(tmp_path / "a.mp4", subset.raw[first]))) as container:
        width, height = (container.streams.video[0].width, container.streams.video[0].height)
        number = container.streams.video[0].frames
    options = {"x264-params": "transfer=smpte2084"}
    video = corpus.Video(options=options, frames=number, size=(width, height))
    video.write(tmp_path / "hdr.mp4")
    raw = {**subset.raw, first: (tmp_path / "hdr.mp4").read_bytes()}
    raw[second] = damage(raw[second])
    (tmp_path / "v.tar").write_bytes(pack_tar(raw))
    settings = config(tmp_path, silver_path="silver", sav_videos_fps_6_download_path="v.tar")
    prepare(settings, "sav")
    known = items(settings, "sav").values()
    hdr_count = sum(item.is_hdr for item in known)
    concealed = sum(item.is_concealed for item in known)
    assert hdr_count and {item.facts.get("transfer") for item in known} >= {"smpte2084"}
    made = card.make(settings, ["sav"])
    counts: dict[str, Any] = made.as_json()["subsets"]["sav"]["frames"]
    assert counts == {"hdr": hdr_count, "concealed": concealed}
    assert f"{hdr_count} frames come from HDR video" in write_paragraph(made)
    some = replace(made.subsets["sav"], concealed=3)
    assert "3 frames come from damaged" in write_paragraph(replace(made, subsets={"sav": some}))
    assert (
        f"{hdr_count} frames come from HDR video" in page.write(settings, ["sav"]).path.read_text()
    )
    assert json.dumps(counts)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def damage(content: bytes) -> bytes:
    """The video with bytes changed in the middle of its pictures."""
    broken = bytearray(content)
    for at in range(len(broken) // 3, len(broken) // 3 + 400, 7):
        broken[at] ^= 0x55
    return bytes(broken)
