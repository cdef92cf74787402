"""The database refuses a claim by a worker that does not know the plan's format.

The claim query of this release never finds such a chunk. That of the nodes of an earlier one does: they know no
formats, and would hold a lease for a plan that they cannot read.
"""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION check_plan_format() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM transcoding_jobs j JOIN workers w ON w.worker_id = NEW.worker_id
        WHERE j.id = NEW.job_id
        AND COALESCE(w.capabilities -> 'plan_formats', '[1]') @> to_jsonb(j.plan_format)
    ) THEN
        RAISE check_violation USING
            MESSAGE = 'The worker does not know the format of this plan: upgrade it.',
            CONSTRAINT = 'tr_transcoding_chunks_plan_format', TABLE = 'transcoding_chunks';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tr_transcoding_chunks_plan_format BEFORE UPDATE OF attempt ON transcoding_chunks FOR EACH ROW
    WHEN (NEW.attempt > OLD.attempt AND NEW.worker_id IS NOT NULL) EXECUTE FUNCTION check_plan_format();
"""
BACKWARDS = """
DROP TRIGGER tr_transcoding_chunks_plan_format ON transcoding_chunks;
DROP FUNCTION check_plan_format();
"""


class Migration(migrations.Migration):
    dependencies = [("transcoding", "0008_manage_job")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
