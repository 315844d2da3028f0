"""Damages files: bytes, lines of text, and values in JSON or YAML. Each is drawn from a seed."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

Mutate = Callable[[random.Random, bytes], bytes]

TOKENS = (
    b"",
    b"\x00",
    b"\n",
    b"\r\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"-1",
    b"0",
    b"1e999",
    b"99999999999999999999",
    b"NaN",
    b"null",
    b'"',
    b"'",
    b",",
    b"\t",
    b"{",
    b"[" * 3000,
    b"../",
    b"%s%n",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\x1b]0;x\x07",
    b"A" * 70_000,
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    math.inf,
    math.nan,
    10**30,
    1.5,
    "",
    "\x00",
    "../../x",
    "/x",
    "a" * 5000,
    "\ud800",
    "\u202e\x1b[31m",
    "x\ny",
    [],
    {},
    [[]],
    {"": None},
)


def mutate_bytes(dice: random.Random, content: bytes) -> bytes:
    """One to four changes of bytes anywhere."""
    for _ in range(dice.choice([1, 1, 2, 4])):
        content = dice.choice(BYTE_CHANGES)(dice, content)
    return content


def flip_bit(dice: random.Random, content: bytes) -> bytes:
    """The content with one bit changed."""
    changed = bytearray(content or b"\x00")
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def overwrite(dice: random.Random, content: bytes) -> bytes:
    """The content with a run of bytes replaced by noise, zeros or ones."""
    start, stop = _range(dice, content)
    size = stop - start
    new = dice.choice([dice.randbytes(size), bytes(size), b"\xff" * size])
    return content[:start] + new + content[stop:]


def cut(dice: random.Random, content: bytes) -> bytes:
    """The beginning of the content."""
    return content[: dice.randrange(len(content) + 1)]


def delete(dice: random.Random, content: bytes) -> bytes:
    """The content without a run of bytes."""
    start, stop = _range(dice, content)
    return content[:start] + content[stop:]


def repeat(dice: random.Random, content: bytes) -> bytes:
    """The content with a run of bytes twice."""
    start, stop = _range(dice, content)
    return content[:stop] + content[start:]


def insert(dice: random.Random, content: bytes) -> bytes:
    """The content with a token in it."""
    at = dice.randrange(len(content) + 1)
    return content[:at] + dice.choice(TOKENS) + content[at:]


def set_number(dice: random.Random, content: bytes) -> bytes:
    """The content with a number of 2, 4 or 8 bytes replaced by an extreme one."""
    size = dice.choice([2, 4, 8])
    at = dice.randrange(max(1, len(content) - size))
    number = dice.choice(
        [0, 1, (1 << (8 * size - 1)) - 1, 1 << (8 * size - 1), (1 << 8 * size) - 1]
    )
    new = number.to_bytes(size, dice.choice(["little", "big"]))
    return content[:at] + new + content[at + size :]


BYTE_CHANGES = (flip_bit, overwrite, cut, delete, repeat, insert, set_number)


def _range(dice: random.Random, content: bytes) -> tuple[int, int]:
    start = dice.randrange(len(content) + 1)
    return start, min(len(content), start + int(2 ** dice.uniform(0, 11)))


def mutate_lines(dice: random.Random, content: bytes) -> bytes:
    """Changes of lines and fields, or another encoding; sometimes of bytes."""
    how = dice.randrange(9)
    if how == 0:
        return mutate_bytes(dice, content)
    text = content.decode("utf-8", "replace")
    if how == 1:
        return text.encode(dice.choice(["utf-16", "utf-8-sig", "utf-32"]), "replace")
    if how == 2:
        return text.replace("\n", dice.choice(["\r\n", "\r", "\u2028", "\n\n"])).encode()
    lines = text.split("\n")
    at = dice.randrange(len(lines))
    if how == 3:
        del lines[at]
    elif how == 4:
        lines.insert(dice.randrange(len(lines)), lines[at])
    elif how == 5:
        old, new = dice.choice([("\t", " "), (",", ";"), ("\t", ","), (":", "=")])
        lines = [line.replace(old, new) for line in lines]
    elif how == 6:
        dice.shuffle(lines)
    elif how == 7:
        lines[at] = dice.choice(TOKENS).decode("utf-8", "replace") + lines[at]
    else:
        for separator in ("\t", ",", ":", " "):
            fields = lines[at].split(separator)
            if len(fields) > 1:
                fields[dice.randrange(len(fields))] = dice.choice(TOKENS).decode("utf-8", "replace")
                lines[at] = separator.join(fields)
                break
    return "\n".join(lines).encode("utf-8", "replace")


def mutate_json(dice: random.Random, content: bytes) -> bytes:
    """Changes of keys and values in a JSON document; sometimes of its bytes or lines."""
    how = dice.random()
    if how < 0.25:
        return mutate_bytes(dice, content)
    if how < 0.3:
        return mutate_lines(dice, content)
    document = change_values(dice, json.loads(content))
    return json.dumps(document, ensure_ascii=dice.random() < 0.9).encode("utf-8", "surrogatepass")


def change_values(dice: random.Random, document: Any) -> Any:
    """A copy of a tree of mappings and lists with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(dice.choice([1, 1, 2, 3])):
        document = _change_one(dice, document)
    return document


def _change_one(dice: random.Random, document: Any) -> Any:
    place = document
    for depth in range(12):
        keys = list(place) if isinstance(place, dict) else list(range(len(place or [])))
        if not keys:
            return dice.choice(VALUES)
        key = dice.choice(keys)
        if isinstance(place[key], (dict, list)) and place[key] and dice.random() < 0.8 - depth / 20:
            place = place[key]
            continue
        how = dice.randrange(6)
        if how == 0:
            del place[key]
        elif how == 1 and isinstance(place, dict):
            place[dice.choice(["", "x", "id", "\x00", "file_name"])] = place.pop(key)
        elif how == 2 and isinstance(place, list):
            place.append(copy.deepcopy(place[key]))
        elif how == 3:
            place[key] = place[dice.choice(keys)]
        else:
            place[key] = dice.choice(VALUES)
        return document
    return document
