"""A card as a paragraph for a paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saco_data.share.card import Card


def write_paragraph(card: Card) -> str:
    """The sentences for a paper: software, coverage, losses, digests."""
    subsets = card.subsets.values()
    total, kept = sum(each.files for each in subsets), sum(len(each.names) for each in subsets)
    nps = _sum(each.image_nps for each in subsets)
    masks = _sum(each.masks for each in subsets)
    software = card.software
    was = "were" if " and " in card.title else "was"
    coverages = ", ".join(
        f"{name} {format_share(each.image_nps)} / {format_share(each.masks)}"
        for name, each in card.subsets.items()
    )
    losses = "; ".join(
        f"{name} {sum(each.losses.values()):,} ({_list_counts(each.losses)})"
        for name, each in card.subsets.items()
        if each.losses
    )
    revisions = sorted({each.annotation_revision for each in subsets if each.annotation_revision})
    sentences = [
        f"{card.title} {was} prepared with saco-data {software['saco-data']} "
        f"(PyAV {software['av']}, "
        f"libavcodec {software['libavcodec']}, Pillow {software['pillow']}) on {card.made[:10]}.",
        f"{kept:,} of {total:,} files are available, which covers {nps[1]:,} of {nps[0]:,} "
        f"image-NPs ({format_share(nps)}) and {masks[1]:,} of {masks[0]:,} masks "
        f"({format_share(masks)}).",
        f"Coverage of image-NPs / masks by subset: {coverages}.",
        f"Files that no longer exist at their source: {losses}." if losses else "No file was lost.",
        f"Annotation revision: {', '.join(revisions)}." if revisions else "",
        f"The sha256 of annotations and keep-lists is {card.sha256()}; "
        "results are comparable with those on copies that have the same one.",
    ]
    if card.lock_sha256:
        sentences.append(f"The sha256 of the lock of its pictures is {card.lock_sha256}.")
    hdr, concealed = (sum(each.hdr for each in subsets), sum(each.concealed for each in subsets))
    if hdr:
        sentences.append(
            f"{hdr:,} frames come from HDR video (PQ or HLG); their colours are those of FFmpeg's "
            "plain conversion, not OpenCV's."
        )
    if concealed:
        sentences.append(
            f"{concealed:,} frames come from damaged video, of which the decoder made up parts."
        )
    for name, each in card.subsets.items():
        if each.against_masks and each.against_masks.shifts:
            sentences.append(f"{name}: {each.against_masks.in_words()} (a hint, not a proof).")
    unfinished = sum(sum(each.unfinished.values()) for each in subsets)
    if not card.complete:
        why = (
            f"{unfinished:,} files are neither available nor confirmed as gone, and "
            if unfinished
            else ""
        )
        sentences.append(f"This copy is NOT complete: {why}its numbers are not final.")
    return " ".join(sentence for sentence in sentences if sentence)


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    totals, kept = zip(*pairs, strict=True)
    return sum(totals), sum(kept)


def format_share(pair: tuple[int, int]) -> str:
    """The kept share of (total, kept), rounded down: 100 % means all."""
    total, kept = pair
    return f"{int(1000 * kept / total) / 10 if total else 100:g} %"


def _list_counts(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
