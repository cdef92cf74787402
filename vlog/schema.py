"""What the tables ask of PostgreSQL that Django has no name for."""

from django.db import models
from django.db.models import Func

# Django's own Now() is STATEMENT_TIMESTAMP() on PostgreSQL; the schema's default is NOW().
NOW = Func(function="NOW", output_field=models.DateTimeField())


class NamedIndex(models.Index):
    """An index whose name may have the 63 characters of PostgreSQL; Django allows the 30 of Oracle."""

    max_name_length = 63
