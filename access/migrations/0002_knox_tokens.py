"""Take over the tokens that were issued before they had scopes."""

from django.db import migrations

# Every installation that has such tokens has the table, and a new one never gets it. It is left
# where it is for processes of the former release, without the reference that would keep a user
# from being deleted.
TAKE_OVER = """
DO $$
DECLARE reference name;
BEGIN
    IF to_regclass('knox_authtoken') IS NULL THEN RETURN; END IF;
    INSERT INTO access_apitoken (
        id, digest, token_key, user_id, created, expiry,
        name, scopes, revoked_by, revoked_reason
    )
    SELECT gen_random_uuid(), digest, token_key, user_id, created, expiry,
           '', ARRAY['orders:read', 'orders:write'], '', ''
    FROM knox_authtoken
    ON CONFLICT (digest) DO NOTHING;
    FOR reference IN
        SELECT conname FROM pg_constraint
        WHERE conrelid = 'knox_authtoken'::regclass AND contype = 'f'
    LOOP
        EXECUTE format('ALTER TABLE knox_authtoken DROP CONSTRAINT %I', reference);
    END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]

    operations = [migrations.RunSQL(TAKE_OVER, migrations.RunSQL.noop)]
