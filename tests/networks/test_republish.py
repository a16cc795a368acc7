"""A new release that renders documents otherwise reaches nodes that are answered by the stored version."""

import pytest

from networks import desired
from networks.models import Network
from nodes.models import Node
from tests import factories


@pytest.mark.django_db
def test_a_start_brings_stored_versions_up_to_date() -> None:
    factories.the_nodes()
    factories.a_network()
    right = dict(Node.objects.values_list("name", "desired_version"))
    digest = Network.objects.get(name="backend1").peers_digest
    Node.objects.update(desired_version="rendered by another release")
    Network.objects.update(peers_digest="", peers_body="")
    desired.republish()
    assert dict(Node.objects.values_list("name", "desired_version")) == right
    assert Network.objects.get(name="backend1").peers_digest == digest
