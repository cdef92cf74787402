"""The static files, each under a name with its hash."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Modules import one another by these names, too: none of another release is taken from a cache."""

    support_js_module_import_aggregation = True
