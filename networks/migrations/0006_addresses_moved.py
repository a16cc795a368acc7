"""Until here an allocation was one address; now it is what one holder has, and its addresses are rows."""

import uuid

from django.db import migrations


def move(apps, schema_editor):
    allocation, address = apps.get_model("networks", "Allocation"), apps.get_model("networks", "Address")
    rows = list(allocation.objects.all())
    for row in rows:
        row.uuid = uuid.uuid4()
    allocation.objects.bulk_update(rows, ["uuid"], batch_size=500)
    address.objects.bulk_create(
        [
            address(network_id=row.network_id, allocation=row, address=row.address, locality=row.locality)
            for row in rows
        ],
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("networks", "0005_addresses")]
    operations = [migrations.RunPython(move)]
