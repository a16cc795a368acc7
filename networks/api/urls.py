"""What needs networks and nodes both, below /api/v1/."""

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from netadmin.rest import NAME
from networks.api.allocations import AllocationViewSet
from networks.api.available import AvailableView, ReleaseView
from networks.api.cluster import ClusterView
from networks.api.dns import RecordsView
from networks.api.explain import ExplainView
from networks.api.foreign import ForeignNetworksView
from networks.api.holdings import HoldingsView
from networks.api.networks import NetworkViewSet
from networks.api.nodes import NodeViewSet
from networks.api.operations import OperationViewSet
from networks.api.probes import ProbesView
from networks.api.services import ServicesView, ServiceView
from networks.api.worker import DesiredView, ReportView

router = SimpleRouter()
router.register("allocations", AllocationViewSet, "allocation")
router.register("networks", NetworkViewSet, "network")
router.register("nodes", NodeViewSet, "node")
router.register("operations", OperationViewSet, "operation")

urlpatterns = [
    path("cluster/", ClusterView.as_view()),
    path("dns/records/", RecordsView.as_view()),
    path("services/", ServicesView.as_view()),
    path("services/<path:service>/", ServiceView.as_view()),
    path("foreign-networks/", ForeignNetworksView.as_view()),
    path("explain/", ExplainView.as_view()),
    re_path(rf"^nodes/(?P<name>{NAME})/desired/$", DesiredView.as_view()),
    re_path(rf"^nodes/(?P<name>{NAME})/report/$", ReportView.as_view()),
    re_path(rf"^nodes/(?P<name>{NAME})/holdings/$", HoldingsView.as_view()),
    re_path(rf"^networks/(?P<name>{NAME})/probes/$", ProbesView.as_view()),
    re_path(rf"^networks/(?P<name>{NAME})/available-ips/$", AvailableView.as_view()),
    re_path(rf"^networks/(?P<name>{NAME})/release-ips/$", ReleaseView.as_view()),
    *router.urls,
]
