from django.urls import path

from videos import api, views

urlpatterns = [
    path("", views.home, name="home"),
    path("watch/<slug:slug>/", views.watch, name="watch"),
    path("category/<slug:slug>/", views.category, name="category"),
    path("tag/<slug:slug>/", views.tag, name="tag"),
    path("api/v1/videos/<int:video_id>/restore", api.RestoreView.as_view(), name="restore"),
    path("media/<path:address>", views.media, name="media"),
]
