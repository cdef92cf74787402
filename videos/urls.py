from django.urls import path

from videos import api
from videos.pages import feeds, views

urlpatterns = [
    path("", views.home, name="home"),
    path("watch/<slug:slug>/", views.watch, name="watch"),
    path("category/<slug:slug>/", views.category, name="category"),
    path("tag/<slug:slug>/", views.tag, name="tag"),
    path("api/v1/videos/<int:video_id>/restore", api.RestoreView.as_view(), name="restore"),
    path("browse/", views.browse, name="browse"),
    path("search/", views.search_page, name="search"),
    path("feed.xml", feeds.LatestFeed(), name="feed"),
    path("category/<slug:slug>/feed.xml", feeds.CategoryFeed(), name="category-feed"),
    path("tag/<slug:slug>/feed.xml", feeds.TagFeed(), name="tag-feed"),
    path("sitemap.xml", feeds.sitemap, name="sitemap"),
    path("robots.txt", feeds.robots, name="robots"),
    path("media/<path:address>", views.media, name="media"),
]
