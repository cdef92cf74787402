"""The notice that pages have changed: triggers send it, and the processes of the web server forget the pages they keep."""

from django.db import migrations

# With each commit that changes rows of which pages are made. The number of views may be a minute old on pages, and
# changes all the time. `*<>` compares columns of every type, and no trigger has to name those of its table.
FUNCTION = """
CREATE FUNCTION pages_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF TG_TABLE_NAME = 'videos' THEN NEW.view_count := OLD.view_count; END IF;
        IF NOT (NEW *<> OLD) THEN RETURN NULL; END IF;
    END IF;
    PERFORM pg_notify('pages', '');
    RETURN NULL;
END $$;
"""
TRIGGERS = """
CREATE TRIGGER tr_{0}_pages AFTER INSERT OR UPDATE OR DELETE ON {0}
    FOR EACH ROW EXECUTE FUNCTION pages_changed();
CREATE TRIGGER tr_{0}_pages_emptied AFTER TRUNCATE ON {0}
    FOR EACH STATEMENT EXECUTE FUNCTION pages_changed();
"""
NO_TRIGGERS = """
DROP TRIGGER tr_{0}_pages ON {0};
DROP TRIGGER tr_{0}_pages_emptied ON {0};
"""


class Migration(migrations.Migration):
    dependencies = [
        ("vlog", "0005_site_permission"),
    ]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION pages_changed();"),
        migrations.RunSQL(TRIGGERS.format("site_settings"), NO_TRIGGERS.format("site_settings")),
    ]
