from django.db import migrations

PROMISES = """
    UPDATE sagas_sagarun AS run SET waiting_then = CASE approval."default"
        WHEN 'reject' THEN 'the order is cancelled'
        WHEN 'approve' THEN 'the order goes on'
        WHEN 'escalate' THEN 'the shop is reminded' ELSE '' END
    FROM approvals_approval AS approval
    WHERE run.waits_for = 'await_review' AND run.waiting_then = ''
      AND approval.subject_id = run.subject_id AND approval.name = 'order_review'
      AND approval.status = 'open'
"""


class Migration(migrations.Migration):
    """Orders that wait for a review already say what their approval has promised."""

    dependencies = [
        ("orders", "0002_clock"),
        ("approvals", "0001_initial"),
        ("sagas", "0006_what_a_wait_promised"),
    ]

    operations = [migrations.RunSQL(PROMISES, migrations.RunSQL.noop)]
