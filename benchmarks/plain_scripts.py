"""What the official scripts of SA-Co/Silver do, written anew and as plainly: one process a step.

    python benchmarks/plain_scripts.py STEP PLACES.json

Used by `whole.py`. Videos come by the sources' own clients, archives are unpacked in full, OpenCV
opens the video once for each frame, processes share the pictures. Each step loads the libraries
that the official script loads and starts as many processes and threads. As there, what failed is
left out of the annotations, and nothing is checked, synced or resumed.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

Places = dict[str, Any]  # see `whole.places_of`
PROCESSES = 16  # of FathomNet, and threads of DROID
MORE_PROCESSES = 20  # of the archives and NGA
VIDEOS = ("droid", "sav", "ego4d", "yt1b")
UNPACKED = ("geode", "bdd100k", "food_rec")
STEPS = (
    *(f"download-{name}" for name in VIDEOS),
    *(f"frames-{name}" for name in VIDEOS),
    *UNPACKED,
    "nga",
    "inaturalist",
    "fathomnet",
)


def main() -> None:
    """Does one step."""
    step, places = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    _, _, subset = step.rpartition("-")
    load_libraries(step)
    Path(places["out"], subset).mkdir(parents=True, exist_ok=True)
    if step.startswith("download-"):
        {"droid": droid, "sav": sav, "ego4d": ego4d, "yt1b": yt1b}[subset](places)
    elif step.startswith("frames-"):
        extract_frames(places, subset)
    elif subset in UNPACKED:
        preprocess(places, subset)
    else:
        {"nga": nga, "inaturalist": inaturalist, "fathomnet": fathomnet}[subset](places)


def load_libraries(step: str) -> None:
    """Loads what the official script of a step imports, used or not."""
    if step not in ("inaturalist", "fathomnet"):
        import_all("cv2", "matplotlib.pyplot", "numpy", "yaml", "PIL.Image", "pycocotools.mask")
    if step.startswith("download-"):
        import_all("yt_dlp")
    if step in (*UNPACKED, "nga"):
        import_all("pandas")
    if step in ("nga", "fathomnet"):
        import_all("requests")
    import_all("tqdm")


def import_all(*names: str) -> None:
    """Imports modules."""
    for name in names:
        importlib.import_module(name)


def pictures_of(places: Places, subset: str) -> list[dict[str, Any]]:
    """The entries of `images` of a subset."""
    document = json.loads(Path(places["annotations"], places["files"][subset]).read_text())
    found: list[dict[str, Any]] = document["images"]
    return found


def videos_of(places: Places, subset: str) -> list[str]:
    """The videos of a subset."""
    return sorted({each["original_video"] for each in pictures_of(places, subset)})


def folder_of(places: Places, subset: str) -> Path:
    """The folder for the videos of a subset, made if it is missing."""
    folder = Path(places["out"], subset, "downloaded_videos")
    folder.mkdir(exist_ok=True)
    return folder


def prune(places: Places, subset: str, there: Callable[[dict[str, Any]], bool]) -> None:
    """Writes the annotations without the pictures that are not there."""
    document = json.loads(Path(places["annotations"], places["files"][subset]).read_text())
    document["images"] = [each for each in document["images"] if there(each)]
    kept = {each["id"] for each in document["images"]}
    document["annotations"] = [each for each in document["annotations"] if each["image_id"] in kept]
    Path(places["out"], places["files"][subset]).write_text(json.dumps(document))


def prune_videos(places: Places, subset: str) -> None:
    """Leaves out the videos that were not downloaded."""
    prune(places, subset, lambda each: video_path(places, subset, each["original_video"]).is_file())


def video_path(places: Places, subset: str, video: str) -> Path:
    """Where a video is after its download."""
    inner = {"sav": "videos_fps_6", "ego4d": "v1/clips"}.get(subset, "")
    name = f"video_{video}.mp4" if subset == "yt1b" else video
    return folder_of(places, subset) / inner / name


def droid(places: Places) -> None:
    """One `gsutil` process for each video, 16 at a time."""

    def download(video: str) -> None:
        to = folder_of(places, "droid") / video
        command = ["gsutil", "cp", places["droid_objects"][video], str(to)]
        subprocess.run(command, capture_output=True, check=False)

    with ThreadPoolExecutor(PROCESSES) as threads:
        list(threads.map(download, videos_of(places, "droid")))
    prune_videos(places, "droid")


def sav(places: Places) -> None:
    """The whole archive, then all that is in it."""
    archive = wget(places["sav_url"], folder_of(places, "sav") / "videos_fps_6.tar")
    subprocess.run(["tar", "-xf", archive.name], cwd=archive.parent, check=True)
    prune_videos(places, "sav")


def ego4d(places: Places) -> None:
    """The official client, for all clips at once."""
    folder = folder_of(places, "ego4d")
    wanted = folder / "uids.txt"
    wanted.write_text("\n".join(each.removesuffix(".mp4") for each in videos_of(places, "ego4d")))
    command = ["ego4d", "--output_directory", str(folder), "--datasets", "clips", "--version", "v1"]
    command += ["--video_uid_file", str(wanted), "--yes", "--no-metadata"]
    command += ["--manifest-override-path", places["ego4d_manifest"]]
    subprocess.run(command, capture_output=True, check=False)
    prune_videos(places, "ego4d")


def yt1b(places: Places) -> None:
    """yt-dlp in threads."""
    import yt_dlp

    options = {
        "format": "best[height<=720][fps<=30]/best[height<=720]/best",
        "outtmpl": str(folder_of(places, "yt1b") / "video_%(id)s.%(ext)s"),
        "quiet": True,
        "no_warnings": True,
        "ignoreerrors": True,
        "compat_opts": {"no-certifi"},
        "logger": _Silent(),
    }

    def download(video: str) -> None:
        with yt_dlp.YoutubeDL(options) as client:
            client.download([f"https://www.youtube.com/watch?v={video}"])

    with ThreadPoolExecutor() as threads:
        list(threads.map(download, videos_of(places, "yt1b")))
    prune_videos(places, "yt1b")


class _Silent:
    """A logger that drops all."""

    def debug(self, text: str) -> None:
        """Nothing."""

    warning = error = debug


def extract_frames(places: Places, subset: str) -> None:
    """Frame by frame: the video is opened and sought once for each."""
    names = {each["file_name"]: each for each in pictures_of(places, subset)}
    jobs = [
        (
            str(video_path(places, subset, each["original_video"])),
            each["global_frame_idx"],
            tuple(each["image_size"]),
            str(Path(places["out"], subset, "frames", name)),
        )
        for name, each in names.items()
    ]
    with Pool(os.cpu_count()) as pool:
        pool.map(extract_frame, jobs)
    frames = Path(places["out"], subset, "frames")
    prune(places, subset, lambda each: (frames / each["file_name"]).is_file())


def extract_frame(job: tuple[str, int, tuple[int, int], str]) -> None:
    """One frame, resized where the annotation gives another size."""
    import cv2
    from PIL import Image

    video, number, (height, width), to = job
    capture = cv2.VideoCapture(video)
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)
    read, bgr = capture.read()
    capture.release()
    if read:
        image = Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        if image.size != (width, height):
            image = image.resize((width, height))
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        image.save(to)
        with Image.open(to) as written:
            written.convert("RGB")


def preprocess(places: Places, subset: str) -> None:
    """Unpacks what the user has fetched, and copies the pictures under their new names."""
    raw = Path(places["out"], subset, "raw")
    unpack(Path(places[f"{subset}_raw"]), raw)
    found = {path.relative_to(raw).as_posix(): path for path in raw.rglob("*.jpg")}
    by_name = {new_name(subset, name): path for name, path in found.items()}
    copy_all(places, subset, by_name)


def new_name(subset: str, member: str) -> str:
    """The annotations' name of a member of a subset's archive."""
    if subset == "geode":
        return member.removeprefix("images/").replace("/", "_")
    name = member.rpartition("/")[2]
    return f"public_validation_set_2.0_{name}" if subset == "food_rec" else name


def copy_all(places: Places, subset: str, by_name: dict[str, Path]) -> None:
    """Copies the pictures that the annotations name, by a pool."""
    to = images_of(places, subset)
    names = {each["file_name"] for each in pictures_of(places, subset)} & by_name.keys()
    with Pool(MORE_PROCESSES) as pool:
        pool.starmap(copy, [(by_name[name], to / name) for name in sorted(names)])
    prune(places, subset, lambda each: (to / each["file_name"]).is_file())


def copy(path: Path, to: Path) -> None:
    """Copies one file."""
    import shutil

    shutil.copy2(path, to)


def images_of(places: Places, subset: str) -> Path:
    """The folder of the finished pictures of a subset, made if it is missing."""
    folder = Path(places["out"], subset, "images")
    folder.mkdir(exist_ok=True)
    return folder


def nga(places: Places) -> None:
    """The catalogue, one request for each picture, a pool that measures, another that resizes."""
    wanted = {each["file_name"]: each for each in pictures_of(places, "nga")}
    to = images_of(places, "nga")
    table = fetch(places["nga_catalogue"], to.parent / "published_images.csv")
    with table.open(newline="") as lines:
        sides = {row["uuid"]: row["maxpixels"] for row in csv.DictReader(lines)}
    jobs: list[tuple[str, Path]] = []
    for name in wanted:
        uuid = name.removesuffix(".jpg")
        side = sides.get(uuid)
        size = f"!{side},{side}" if side else "full"
        jobs.append((f"{places['nga_iiif']}/{uuid}/full/{size}/0/default.jpg", to / name))
    sizes = [(to / name, each["width"], each["height"]) for name, each in wanted.items()]
    for work, given in (
        (fetch, jobs),
        (open_picture, [size[:1] for size in sizes]),
        (resize, sizes),
    ):
        with Pool(MORE_PROCESSES) as pool:
            pool.starmap(work, given)
    prune(places, "nga", lambda each: (to / each["file_name"]).is_file())


def open_picture(path: Path) -> tuple[int, int] | None:
    """The size of a picture, if it is there."""
    from PIL import Image

    if not path.is_file():
        return None
    with Image.open(path) as image:
        return image.size


def resize(path: Path, width: int, height: int) -> None:
    """Resizes a picture in its place where it has another size."""
    from PIL import Image

    if path.is_file():
        with Image.open(path) as image:
            if image.size != (width, height):
                image.resize((width, height)).save(path)


def inaturalist(places: Places) -> None:
    """The whole archive, all that is in it, then the copies."""
    raw = Path(places["out"], "inaturalist", "raw")
    unpack(wget(places["inaturalist_archive"], raw.parent / "train_val_images.tar.gz"), raw)
    mapping = json.loads(wget(places["inaturalist_mapping"], raw.parent / "map.json").read_text())
    to = images_of(places, "inaturalist")
    for name, member in mapping.items():
        path = raw / "train_val_images" / member
        if path.is_file():
            copy(path, to / name)
    prune(places, "inaturalist", lambda each: (to / each["file_name"]).is_file())


def fathomnet(places: Places) -> None:
    """One request for the record of each picture and one for the picture, by a pool."""
    to = images_of(places, "fathomnet")
    names = sorted({each["file_name"] for each in pictures_of(places, "fathomnet")})
    with Pool(PROCESSES) as pool:
        pool.map(partial(fathomnet_one, to), names)
    prune(places, "fathomnet", lambda each: (to / each["file_name"]).is_file())


def fathomnet_one(to: Path, name: str) -> None:
    """One picture, if there is a record of it."""
    from fathomnet.api import images

    try:
        record = images.find_by_uuid(name.rpartition(".")[0])
    except ValueError:
        return
    fetch(record.url, to / name)


def fetch(url: str, to: Path) -> Path:
    """Writes what a URL answers, unless it is an error."""
    import requests

    with requests.get(url, stream=True, timeout=60) as answer:
        if answer.status_code == 200:
            with to.open("wb") as file:
                file.writelines(answer.iter_content(1 << 20))
    return to


def wget(url: str, to: Path) -> Path:
    """Writes what a URL answers, by wget."""
    subprocess.run(["wget", "--quiet", "-O", str(to), url], check=True)
    return to


def unpack(archive: Path, to: Path | None = None) -> None:
    """Unpacks a tar or zip in full."""
    import shutil

    shutil.unpack_archive(archive, to or archive.parent, **_filter(archive))


def _filter(archive: Path) -> dict[str, Any]:
    return {} if archive.suffix == ".zip" else {"filter": "data"}


def names_of(folder: Path) -> Iterable[str]:
    """The names of the pictures below a folder."""
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))


if __name__ == "__main__":
    main()
