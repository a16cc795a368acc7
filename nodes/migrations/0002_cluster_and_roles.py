"""The one cluster row and the three roles are there from the first start."""

from django.db import migrations


def make(apps, schema_editor):
    apps.get_model("nodes", "Cluster").objects.get_or_create(pk=1)
    group = apps.get_model("auth", "Group")
    for role in ("viewer", "operator", "admin"):
        group.objects.get_or_create(name=role)


class Migration(migrations.Migration):
    dependencies = [("nodes", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
