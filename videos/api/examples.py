"""Answers of the calls for everybody, as the OpenAPI document shows them."""

SITE = "https://video.example.org"
PACKAGE = f"{SITE}/media/17-0123456789abcdef0123456789abcdef"

SUMMARY = {
    "slug": "a-walk",
    "title": "A walk",
    "kind": "video",
    "duration": 151.2,
    "published_at": "2026-11-30T09:00:00Z",
    "views": 1204,
    "category": {"slug": "walks", "name": "Walks"},
    "tags": [{"slug": "hills", "name": "Hills"}],
    "url": f"{SITE}/watch/a-walk/",
    "poster_url": f"{PACKAGE}/poster.jpg",
}
VIDEO = {
    **SUMMARY,
    "description": "From the lake to the hill.",
    "visibility": "public",
    "renditions": [{"key": "1080p", "width": 1920, "height": 1080, "bitrate": 3800}],
    "audio_tracks": [{"key": "audio", "language": "en", "name": "English", "role": "", "is_default": True}],
    "captions": [
        {
            "number": 1,
            "language": "en",
            "kind": "captions",
            "is_default": True,
            "is_forced": False,
            "name": "English",
            "url": f"{PACKAGE}/captions-1.vtt",
        }
    ],
    "chapters": [{"start": 0.0, "title": "The lake"}, {"start": 62.0, "title": "The hill"}],
    "playlist_url": f"{PACKAGE}/master.m3u8",
    "storyboard_url": f"{PACKAGE}/storyboard.vtt",
    "chapters_url": f"{PACKAGE}/chapters.vtt",
    "embed_url": f"{SITE}/embed/a-walk/",
    "download": {"url": f"{PACKAGE}/download", "qualities": [{"quality": "1080p", "size": 71820000}]},
}
CATEGORY = {
    "slug": "walks",
    "name": "Walks",
    "videos": 12,
    "url": f"{SITE}/category/walks/",
    "feed_url": f"{SITE}/category/walks/feed.xml",
}
TAG = {
    "slug": "hills",
    "name": "Hills",
    "videos": 3,
    "url": f"{SITE}/tag/hills/",
    "feed_url": f"{SITE}/tag/hills/feed.xml",
}
PLAYLIST_SUMMARY = {
    "slug": "hikes",
    "title": "Hikes",
    "updated_at": "2026-11-30T09:00:00Z",
    "url": f"{SITE}/playlist/hikes/",
    "feed_url": f"{SITE}/playlist/hikes/feed.xml",
}
PLAYLIST = {**PLAYLIST_SUMMARY, "description": "From easy to hard", "visibility": "public", "videos": [SUMMARY]}
HIT = {
    "video": SUMMARY,
    "title_html": "A <mark>walk</mark>",
    "excerpt_html": "From the lake to the hill.",
    "moment": {
        "start": 12,
        "html": "We <mark>walk</mark> on",
        "captions": 1,
        "url": f"{SITE}/watch/a-walk/?t=12&captions=1",
    },
}
