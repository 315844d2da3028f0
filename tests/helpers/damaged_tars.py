"""Tars that were published damaged: their checksums are right."""

from __future__ import annotations

TAILS = ("in mid-member", "without the end", "noise")


def damage_tail(whole: bytes, last: str, tail: str) -> bytes:
    """A tar with damage from its last member on, in one of the ways of `TAILS`."""
    at = whole.rindex(last.encode())
    return {
        "in mid-member": whole[: at + 600],
        "without the end": whole[:at],
        "noise": whole[:at] + b"\1" * 10240,
    }[tail]
