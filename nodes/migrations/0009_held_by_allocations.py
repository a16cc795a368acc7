"""Which version was carried out is told by each allocation."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("nodes", "0008_lease_grace")]
    operations = [migrations.RemoveField(model_name="node", name="held")]
