"""Zips as other programs write and damage them: names in any coding, one member of no use."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from saco_data.transports.archive import ArchiveDamaged, members

NAME = "images/Türkiye.jpg"


def zip_of(folder: Path, *infos: zipfile.ZipInfo) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info in infos:
            archive.writestr(info, info.filename)
    path = folder / "a.zip"
    path.write_bytes(out.getvalue())
    return path


def found(path: Path, name: str) -> list[str]:
    return [member.name for member in members(path, lambda each: each == name)]


def test_a_name_in_utf_8_is_found_where_no_flag_says_so(tmp_path: Path) -> None:
    path = zip_of(tmp_path, zipfile.ZipInfo("images/T##rkiye.jpg"))
    path.write_bytes(path.read_bytes().replace(b"T##rkiye", "Türkiye".encode()))
    assert found(path, NAME) == [NAME]


def test_a_name_in_the_old_code_page_is_found(tmp_path: Path) -> None:
    path = zip_of(tmp_path, zipfile.ZipInfo("images/T#rkiye.jpg"))
    path.write_bytes(path.read_bytes().replace(b"T#rkiye", "Türkiye".encode("cp437")))
    assert found(path, NAME) == [NAME]


@pytest.mark.parametrize(("of", "number"), [(b"images/T_rkiye.jpg", 1), (b"another.jpg", 0)])
def test_a_unicode_path_counts_if_it_belongs_to_the_member(
    tmp_path: Path, of: bytes, number: int
) -> None:
    info = zipfile.ZipInfo("images/T_rkiye.jpg")
    field = struct.pack("<BL", 1, zlib.crc32(of)) + NAME.encode()
    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
    path = zip_of(tmp_path, info)
    assert found(path, NAME) == [NAME] * number


def test_a_damaged_member_does_not_hide_later_ones(tmp_path: Path) -> None:
    path = zip_of(tmp_path, *(zipfile.ZipInfo(f"{number}.jpg") for number in range(3)))
    content = bytearray(path.read_bytes())
    content[content.index(b"1.jpg1.jpg") + 5] ^= 1
    path.write_bytes(content)
    read = {}
    for member in members(path, lambda name: True):
        try:
            read[member.name] = member.read()
        except ArchiveDamaged as error:
            assert error.alone and error.what.startswith("1.jpg is damaged")
    assert read == {"0.jpg": b"0.jpg", "2.jpg": b"2.jpg"}
