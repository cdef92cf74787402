from django.urls import path

from transcoding import metrics

urlpatterns = [path("metrics", metrics.metrics, name="metrics")]
