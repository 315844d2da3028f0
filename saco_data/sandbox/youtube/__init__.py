"""YouTube on loopback: what yt-dlp's real extractor asks for, answered for a catalogue of videos.

    site = YouTube({"dQw4w9WgXcQ": Path("a.mp4"), "aaaaaaaaaaa": Fault.PRIVATE})
    with ConnectProxy(site.handlers()) as proxy: ...

The watch page, the `youtubei/v1/player` call and the media hosts speak the real protocol; the words
of each fault are YouTube's own.
"""

from saco_data.sandbox.youtube.faults import TRAILER, Fault
from saco_data.sandbox.youtube.media import Video
from saco_data.sandbox.youtube.site import YouTube

__all__ = ["TRAILER", "Fault", "Video", "YouTube"]
