"""An inflater that tells where each deflate block begins.

zlib can stop at the end of a block (Z_BLOCK), and Python's modules cannot ask for it. The library
inside `zlib_ng`, which inflates all archives here, is called directly: it costs no more than
inflating does anyway.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
import zlib
from dataclasses import dataclass
from typing import Any

from zlib_ng import zlib_ng

from saco_data.transports.archive.seekpoint import ERRORS

_BLOCK = 5  # Z_BLOCK: return at the end of a block
_OK, _END, _NO_PROGRESS = 0, 1, -5
_AT_BOUNDARY, _LAST_BLOCK, _UNUSED_BITS = 128, 64, 7
_UNUSABLE: tuple[type[Exception], ...] = (OSError, AttributeError, MemoryError, *ERRORS)
_INTO = 1 << 18  # bytes of output at once


class _Stream(ctypes.Structure):
    """`zng_stream` of zlib-ng.h."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint32),
        ("total_in", ctypes.c_size_t),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint32),
        ("total_out", ctypes.c_size_t),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_uint32),
        ("reserved", ctypes.c_ulong),
    )


@dataclass(frozen=True, slots=True)
class Boundary:
    """A block begins at bit `bit` of the file, after `offset` bytes of output of the file.

    `fresh`: it is the first block of a gzip member, which needs nothing of what came before.
    """

    bit: int
    offset: int
    fresh: bool = False


class BlockInflater:
    """zlib's decompression object (`seekpoint.Inflater`) that adds to `boundaries` as it goes.

    `at`: the byte of the file where the deflate data begins; `offset`: bytes of output before it.
    Raises `seekpoint.ERRORS` for damaged data.
    """

    def __init__(self, boundaries: list[Boundary], at: int, offset: int) -> None:
        self.eof = False
        self.unconsumed_tail = b""
        self.unused_data = b""
        self._boundaries = boundaries
        self._at, self._offset = at, offset
        self._library = _library()
        self._stream = _Stream()
        if self._library.zng_inflateInit2(ctypes.byref(self._stream), -15) != _OK:
            raise MemoryError("zlib-ng cannot be started")
        self._into = ctypes.create_string_buffer(_INTO)
        weakref.finalize(self, _end, self._library, self._stream)
        boundaries.append(Boundary(8 * at, offset, fresh=True))

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        """At most `max_length` bytes of output."""
        stream, given = self._stream, bytes(data)
        stream.next_in = ctypes.cast(ctypes.c_char_p(given), ctypes.c_void_p)
        stream.avail_in = len(given)
        pieces: list[bytes] = []
        room, code = max_length, _OK
        while room and code != _END:
            step = min(room, _INTO)
            stream.next_out, stream.avail_out = ctypes.addressof(self._into), step
            code = self._fill()
            made = step - stream.avail_out
            pieces.append(ctypes.string_at(self._into, made))
            room -= made
            if stream.avail_out:
                break
        self.eof = code == _END
        rest = given[len(given) - stream.avail_in :] if stream.avail_in else b""
        self.unused_data, self.unconsumed_tail = (rest, b"") if self.eof else (b"", rest)
        return b"".join(pieces)

    def _fill(self) -> int:
        """Inflates until the output is full or the input used up; returns zlib's code."""
        stream = self._stream
        while True:
            code: int = self._library.zng_inflate(ctypes.byref(stream), _BLOCK)
            if code == _END:
                return code
            if code not in (_OK, _NO_PROGRESS):
                what = (stream.msg or b"damaged data").decode(errors="replace")
                raise ERRORS[1](f"Error {code} while decompressing data: {what}")
            kind = stream.data_type
            if code == _OK and kind & _AT_BOUNDARY and not kind & _LAST_BLOCK:
                bit = 8 * (self._at + stream.total_in) - (kind & _UNUSED_BITS)
                offset = self._offset + stream.total_out
                if self._boundaries[-1] != (found := Boundary(bit, offset)):
                    self._boundaries.append(found)
            if not stream.avail_in or not stream.avail_out or code == _NO_PROGRESS:
                return code


def is_available() -> bool:
    """Whether this build of zlib-ng can be called directly."""
    try:
        found: list[Boundary] = []
        packer = zlib.compressobj(wbits=-15)
        data = packer.compress(b"one") + packer.flush(zlib.Z_FULL_FLUSH) + packer.compress(b"two")
        inflater = BlockInflater(found, 0, 0)
        return inflater.decompress(data + packer.flush(), 100) == b"onetwo" and len(found) > 1
    except _UNUSABLE:
        return False


@functools.cache
def _library() -> Any:
    library = ctypes.CDLL(zlib_ng.__file__)
    for function in (library.zng_inflateInit2, library.zng_inflate, library.zng_inflateEnd):
        function.restype = ctypes.c_int32
    library.zng_inflateInit2.argtypes = (ctypes.c_void_p, ctypes.c_int32)
    library.zng_inflate.argtypes = (ctypes.c_void_p, ctypes.c_int32)
    library.zng_inflateEnd.argtypes = (ctypes.c_void_p,)
    return library


def _end(library: Any, stream: _Stream) -> None:
    library.zng_inflateEnd(ctypes.byref(stream))
