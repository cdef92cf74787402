"""The full-text index of videos."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from videos.models.catalogue import Video


class SearchDocument(models.Model):
    """The indexed words of a video's title, tags and description; database triggers maintain the rows."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="search_document", db_constraint=False
    )
    document = SearchVectorField()

    class Meta:
        db_table = "search_documents"
        default_permissions = ()  # only triggers write these rows
        indexes = [GinIndex(fields=["document"], name="ix_search_documents_document")]

    def __str__(self) -> str:
        return f"Words of {self.video}"
