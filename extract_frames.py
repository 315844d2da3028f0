"""The official name and flags: `python extract_frames.py {droid,sav,ego4d,yt1b}`."""

from saco_data.cli.official import extract_frames

if __name__ == "__main__":
    extract_frames()
