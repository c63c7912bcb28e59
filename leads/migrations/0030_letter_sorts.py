from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0029_lighter_receipts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="incomingletter",
            name="sort",
            field=models.CharField(
                choices=[
                    ("human", "email"),
                    ("auto_reply", "automatic reply"),
                    ("bounce", "bounced email"),
                    ("complaint", "complaint"),
                    ("mailing_list", "mailing list"),
                    ("calendar", "invitation"),
                    ("encrypted", "encrypted email"),
                ],
                max_length=12,
            ),
        ),
    ]
