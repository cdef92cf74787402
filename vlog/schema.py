"""Features of PostgreSQL that the models use and Django does not have."""

from django.db import models
from django.db.models import Func

# Django's own Now() is STATEMENT_TIMESTAMP() on PostgreSQL; the schema's default is NOW().
NOW = Func(function="NOW", output_field=models.DateTimeField())


class NamedIndex(models.Index):
    """An index with a name of up to 63 characters, as PostgreSQL allows. Django's limit of 30 is that of Oracle."""

    max_name_length = 63
