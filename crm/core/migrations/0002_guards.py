from django.db import migrations

from crm.core.funnel import GUARD_SQL


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunSQL(GUARD_SQL, "drop function core_stage_guard()")]
