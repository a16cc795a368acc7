"""The networks ``default`` and ``lo`` are always there."""

from django.db import migrations


def make(apps, schema_editor):
    network = apps.get_model("networks", "Network")
    network.objects.get_or_create(name="default", defaults={"type": "bridge", "network": "10.22.0.0/16"})
    network.objects.get_or_create(name="lo", defaults={"type": "loopback", "network": "127.0.0.1/32"})


class Migration(migrations.Migration):
    dependencies = [("networks", "0001_initial")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
