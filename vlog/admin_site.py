from django.contrib.admin import AdminSite


class VlogAdminSite(AdminSite):
    """The stock admin under our name; templates/admin/base_site.html gives it our style sheet."""

    site_header = "VLog"
    site_title = "VLog"
    index_title = "Overview"
    site_url = "/"
