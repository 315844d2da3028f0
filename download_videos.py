"""The official name and flags: `python download_videos.py {droid,sav,ego4d,yt1b}`."""

from saco_data.cli.official import download_videos

if __name__ == "__main__":
    download_videos()
