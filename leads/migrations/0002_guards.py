from django.db import migrations

from crm.core.funnel import guard_sql


class Migration(migrations.Migration):
    dependencies = [("core", "0002_guards"), ("leads", "0001_initial")]
    operations = [migrations.RunSQL(guard_sql("leads_lead"), "drop trigger leads_lead_stage_guard on leads_lead")]
