from django.db import migrations

from crm.core.funnel import guard_sql


class Migration(migrations.Migration):
    dependencies = [("core", "0002_guards"), ("deals", "0001_initial")]
    operations = [migrations.RunSQL(guard_sql("deals_deal"), "drop trigger deals_deal_stage_guard on deals_deal")]
