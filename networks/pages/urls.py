"""Addresses of the pages about networks and nodes.

A network may be called anything: what is not about one network has no place below ``networks/``.
"""

from django.urls import path, register_converter

from netadmin.pages import NameConverter
from networks.pages import addresses, declaration, explain, names, network, node, overview, plan, service

register_converter(NameConverter, "name")

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("live/overview/", overview.overview_live, name="overview-live"),
    path("networks/", network.networks, name="networks"),
    path("live/networks/", network.networks_live, name="networks-live"),
    path("networks/<name:name>/", network.network, name="network"),
    path("live/networks/<name:name>/", network.network_live, name="network-live"),
    path("new/network/", declaration.new, name="network-new"),
    path("networks/<name:name>/edit/", declaration.edit, name="network-edit"),
    path("networks/<name:name>/withdraw/", declaration.withdraw, name="network-withdraw"),
    path("networks/<name:name>/addresses/", addresses.addresses, name="network-addresses"),
    path("networks/<name:name>/reserve/", addresses.reserve, name="network-reserve"),
    path("networks/<name:name>/release/", addresses.release, name="network-release"),
    path("plans/<int:number>/", plan.plan, name="plan"),
    path("live/plans/<int:number>/", plan.plan_live, name="plan-live"),
    path("explain/", explain.explain, name="explain"),
    path("explain/<int:operation>/", explain.explained, name="explained"),
    path("live/explain/<int:operation>/", explain.explained_live, name="explained-live"),
    path("services/", service.services, name="services"),
    path("live/services/", service.services_live, name="services-live"),
    path("services/<int:number>/", service.service, name="service"),
    path("live/services/<int:number>/", service.service_live, name="service-live"),
    path("new/service/", service.new, name="service-new"),
    path("services/<int:number>/edit/", service.edit, name="service-edit"),
    path("services/<int:number>/release/", service.release, name="service-release"),
    path("names/", names.names, name="names"),
    path("live/names/", names.names_live, name="names-live"),
    path("nodes/", node.nodes, name="nodes"),
    path("live/nodes/", node.nodes_live, name="nodes-live"),
    path("nodes/<name:name>/", node.node, name="node"),
    path("live/nodes/<name:name>/", node.node_live, name="node-live"),
    path("new/node/", node.new, name="node-new"),
    path("nodes/<name:name>/edit/", node.edit, name="node-edit"),
    path("nodes/<name:name>/token/", node.token, name="node-token"),
    path("nodes/<name:name>/retry/", node.retry, name="node-retry"),
    path("nodes/<name:name>/remove/", node.remove, name="node-remove"),
]
