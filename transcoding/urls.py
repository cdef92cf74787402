from django.urls import path

from transcoding.operations import metrics

urlpatterns = [path("metrics", metrics.metrics, name="metrics")]
