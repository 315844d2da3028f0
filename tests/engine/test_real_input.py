"""The photographs and the video of the real inputs, prepared with annotations written for them."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import av
from PIL import Image

from saco_data.model.reasons import State
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.pipeline import prepare, products, states


def test_photographs_keep_their_bytes(tmp_path: Path, shared_data: Path) -> None:
    names = ("cars.jpg", "groceries.jpg", "truck.jpg")
    folder = tmp_path / "bdd" / "100k" / "train"
    folder.mkdir(parents=True)
    pairs = []
    for number, name in enumerate(names):
        shutil.copy(shared_data / name, folder)
        width, height = Image.open(shared_data / name).size
        pairs.append(image(number, name, width=width, height=height))
    annotate(tmp_path, "bdd100k", document(*pairs))
    settings = config(tmp_path, bdd100k_raw="bdd")
    assert prepare(settings, "bdd100k") == 0
    assert products(settings, "bdd100k") == {
        name: (shared_data / name).read_bytes() for name in names
    }


def test_frames_of_a_real_video_equal_a_sequential_decode(
    tmp_path: Path, shared_data: Path
) -> None:
    videos = tmp_path / "data" / "sav" / "downloaded_videos" / "videos_fps_6"
    videos.mkdir(parents=True)
    shutil.copy(shared_data / "bedroom.mp4", videos / "sav_000001.mp4")
    wanted = (0, 1, 57, 130, 199)
    fields = {"original_video": "sav_000001.mp4", "width": 960, "height": 540}
    pairs = [
        image(n, f"sav_000001/{n:05d}.jpg", global_frame_idx=n, image_size=[540, 960], **fields)
        for n in wanted
    ]
    annotate(tmp_path, "sav", document(*pairs))
    settings = config(tmp_path)
    assert prepare(settings, "sav") == 0
    made = products(settings, "sav")
    assert set(states(settings, "sav").values()) == {State.DONE}
    with av.open(str(shared_data / "bedroom.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                buffer = io.BytesIO()
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(buffer, "JPEG")
                assert made[f"sav_000001/{number:05d}.jpg"] == buffer.getvalue()


def test_the_published_sample_lacks_its_frame_index_and_says_so(
    tmp_path: Path, shared_data: Path
) -> None:
    annotate(tmp_path, "droid", (shared_data / "droid_sample.json").read_bytes())
    content = json.loads((shared_data / "droid_sample.json").read_text())
    settings = config(tmp_path)
    assert prepare(settings, "droid") == 4
    (name,) = {pair["file_name"] for pair in content["images"]}
    assert states(settings, "droid")[name] is State.BLOCKED
