from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0016_lean_indexes")]

    operations = [
        migrations.AddField("mailfolder", "old_below", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("mailfolder", "withheld_uid", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("mailfolder", "withheld", models.PositiveSmallIntegerField(db_default=0, default=0)),
    ]
