"""Audit rows are written once: the database itself refuses to change or delete one."""

from django.db import migrations

CREATE = """
CREATE FUNCTION desk_refuse_to_rewrite_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER desk_operatoraction_append_only BEFORE UPDATE OR DELETE ON desk_operatoraction
    FOR EACH ROW EXECUTE FUNCTION desk_refuse_to_rewrite_history();
"""

DROP = """
DROP TRIGGER desk_operatoraction_append_only ON desk_operatoraction;
DROP FUNCTION desk_refuse_to_rewrite_history();
"""


class Migration(migrations.Migration):
    dependencies = [("desk", "0001_operator_actions")]

    operations = [migrations.RunSQL(CREATE, DROP)]
