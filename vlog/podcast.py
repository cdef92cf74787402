"""What directories show of the site's podcasts."""

import environs

from vlog.environment import SettingError

# The categories of Apple Podcasts, which other directories use, too.
CATEGORIES = (
    *("Arts", "Business", "Comedy", "Education", "Fiction", "Government", "Health & Fitness", "History"),
    *("Kids & Family", "Leisure", "Music", "News", "Religion & Spirituality", "Science", "Society & Culture"),
    *("Sports", "Technology", "True Crime", "TV & Film"),
)


def parse(env: environs.Env) -> tuple[str, bool]:
    """Return the category, and whether the podcasts are not fit for children. Raises SettingError."""
    category = env.str("PODCAST_CATEGORY", "Education")
    if category not in CATEGORIES:
        raise SettingError(
            f"VLOG_PODCAST_CATEGORY must be a category such as {', '.join(CATEGORIES)}; not {category!r}"
        )
    return category, env.bool("PODCAST_EXPLICIT", False)
