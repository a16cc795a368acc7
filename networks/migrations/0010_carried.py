"""Rows know the version that their node has carried out; what is attached was."""

from django.db import migrations, models


def carried_out(apps, schema_editor):
    rows = apps.get_model("networks", "Allocation").objects
    rows.filter(state="attached").update(carried=models.F("version"))


class Migration(migrations.Migration):
    dependencies = [("networks", "0009_cluster_dns")]
    operations = [
        migrations.AddField(
            model_name="allocation",
            name="carried",
            field=models.PositiveBigIntegerField(
                default=0,
                editable=False,
                help_text="The version that its node has carried out, or could not.",
            ),
        ),
        migrations.RunPython(carried_out, migrations.RunPython.noop),
    ]
