from django.urls import path

from analytics import privacy

urlpatterns = [path("", privacy.privacy, name="privacy")]
