"""YouTube through yt-dlp: sessions, cookies, messages."""
