from django.urls import path, re_path

from videos.api import archive, caption_draft, captions, imports, videos
from videos.api import playlists as playlist_calls
from videos.api.replace import replace
from videos.pages import (
    downloads,
    embed,
    feeds,
    home,
    months,
    old_addresses,
    own_pages,
    pictures,
    playlists,
    search_page,
    views,
)
from videos.storage import paths
from videos.uploads import tus

urlpatterns = [
    path("", home.home, name="home"),
    path("watch/<slug:slug>/", views.watch, name="watch"),
    path("watch/<slug:slug>/<str:grant>/", views.watch, name="watch-granted"),
    path("share/<str:token>/", views.shared, name="share"),
    path("embed/<slug:slug>/", embed.embed, name="embed"),
    path("embed/<slug:slug>/<str:grant>/", embed.embed, name="embed-granted"),
    path("oembed", embed.oembed, name="oembed"),
    re_path(
        r"^videos/(?P<slug>[-\w]+)/(?P<name>master\.m3u8|thumbnail\.jpg)$", old_addresses.package_file, name="old-file"
    ),
    path("view", old_addresses.page, {"view": "watch"}, name="old-page"),
    path("embed", old_addresses.page, {"view": "embed"}, name="old-embed"),
    path("category/<slug:slug>/", views.category, name="category"),
    path("tag/<slug:slug>/", views.tag, name="tag"),
    path("playlists/", playlists.playlists, name="playlists"),
    path("playlist/<slug:slug>/", playlists.playlist, name="playlist"),
    path("playlist/<slug:slug>/feed.xml", playlists.PlaylistFeed(), name="playlist-feed"),
    path("picture/<uuid:key>.jpg", pictures.picture, name="picture"),
    path("api/v1/videos/<int:video_id>/restore", archive.RestoreView.as_view(), name="restore"),
    path("api/v1/videos/<slug:slug>/replace", replace, name="replace"),
    path("api/v1/videos/<slug:slug>/restore", archive.RestoreBySlugView.as_view(), name="restore-slug"),
    path("api/v1/videos/<slug:slug>/encode", videos.EncodeView.as_view(), name="encode"),
    path("api/v1/videos/<slug:slug>/captions/", captions.CaptionsView.as_view(), name="captions"),
    path("api/v1/videos/<slug:slug>/captions/<int:number>/", captions.CaptionView.as_view(), name="caption"),
    path(
        "api/v1/videos/<slug:slug>/captions/<int:number>/versions/<int:version>/",
        captions.CaptionVersionView.as_view(),
        name="caption-version",
    ),
    path(
        "api/v1/videos/<slug:slug>/captions/<int:number>/draft/",
        caption_draft.DraftView.as_view(),
        name="caption-draft",
    ),
    path(
        "api/v1/videos/<slug:slug>/captions/<int:number>/presence/",
        caption_draft.PresenceView.as_view(),
        name="caption-presence",
    ),
    path("api/v1/videos/<slug:slug>/", videos.VideoView.as_view(), name="video"),
    path("api/v1/playlists/", playlist_calls.PlaylistsView.as_view(), name="api-playlists"),
    path("api/v1/playlists/<slug:slug>/", playlist_calls.PlaylistView.as_view(), name="api-playlist"),
    path(
        "api/v1/playlists/<slug:slug>/videos/", playlist_calls.PlaylistVideosView.as_view(), name="api-playlist-videos"
    ),
    path(
        "api/v1/playlists/<slug:slug>/videos/<slug:video>/",
        playlist_calls.PlaylistVideoView.as_view(),
        name="api-playlist-video",
    ),
    path("api/v1/uploads/", tus.UploadsView.as_view(), name="uploads"),
    path("api/v1/uploads/<uuid:key>/", tus.UploadView.as_view(), name="upload"),
    path("api/v1/imports/", imports.ImportsView.as_view(), name="imports"),
    path("api/v1/imports/<uuid:key>/", imports.ImportView.as_view(), name="import"),
    path("page/<slug:slug>/", own_pages.own_page, name="own-page"),
    path("browse/", views.browse, name="browse"),
    path("months/", months.months, name="months"),
    path("month/<slug:month>/", months.month, name="month"),
    path("search/", search_page.search_page, name="search"),
    path("search/suggest/", search_page.suggest, name="search-suggest"),
    path("feed.xml", feeds.LatestFeed(), name="feed"),
    path("category/<slug:slug>/feed.xml", feeds.CategoryFeed(), name="category-feed"),
    path("tag/<slug:slug>/feed.xml", feeds.TagFeed(), name="tag-feed"),
    path("sitemap.xml", feeds.sitemap, name="sitemap"),
    path("robots.txt", feeds.robots, name="robots"),
    re_path(rf"^media/{paths.PACKAGE}(?:{paths.GRANT})?download$", downloads.download, name="download"),
    path("media/<path:address>", views.media, name="media"),
    path("access/media/<path:address>", views.media_access, name="media-access"),
]
