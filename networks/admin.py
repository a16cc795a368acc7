"""The admin of what is declared: the same forms and the same verbs as everywhere.

    admin form -> save_model -> verb -> Problem? -> the form once more, with the faults in it

A verb runs inside the admin's transaction; a refusal rolls it back, so nothing is half saved.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from netadmin import roles
from netadmin.problems import Problem
from networks import allocations, cluster, declare, membership
from networks.forms import ClusterForm, NetworkForm, NodeForm, ServiceForm
from networks.models import Address, Allocation, Learnt, Network, Segment
from nodes.admin import ByRole, ReadOnly
from nodes.models import Cluster, Node


class ThroughVerbs(ByRole, admin.ModelAdmin):  # type: ignore[type-arg]
    """Whoever writes here writes through the verbs."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form of the pages; after a refusal, one that says why."""
        refused: Problem | None = getattr(request, "refused", None)

        class Form(self.form):  # type: ignore[name-defined, misc]
            def clean(self) -> dict[str, Any]:
                cleaned: dict[str, Any] = super().clean()
                if refused is not None:
                    self.refuse(refused)
                return cleaned

        return Form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": list(self.form(instance=obj).fields)})]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Problem as problem:
            request.refused = problem  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Problem as problem:
            for fault in problem.faults:
                messages.error(request, str(fault))
            return HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
            )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with it goes by the verb, which asks for no permission on those rows."""
        shown, counts, _, protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(), protected

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None: what goes in bulk would go past the verbs."""
        return {}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        saved = self.verb(form, change)(request.user.get_username())
        obj.__dict__.update(saved.__dict__)

    def verb(self, form: Any, change: bool) -> Callable[[str], Any]:
        """What saving the form does, by whom."""
        raise NotImplementedError


@admin.register(Network)
class NetworkAdmin(ThroughVerbs):
    form = NetworkForm
    list_display = ("name", "type", "network", "every_node", "changed")
    list_filter = ("type",)
    search_fields = ("name", "network", "comment")

    def verb(self, form: NetworkForm, change: bool) -> Callable[[str], Network]:
        wanted = form.declaration()
        if not change:
            return lambda by: declare.declare(form.cleaned_data["name"], wanted, by=by)
        return lambda by: declare.change(
            form.instance.name, wanted, by=by, expected=form.expected, force=form.cleaned_data["force"]
        )

    def delete_model(self, request: HttpRequest, obj: Network) -> None:
        declare.withdraw(obj.name, by=request.user.get_username())


@admin.register(Node)
class NodeAdmin(ThroughVerbs):
    form = NodeForm
    write_role = roles.ADMIN
    list_display = ("name", "addresses", "last_seen", "comment")
    search_fields = ("name", "comment")

    def verb(self, form: NodeForm, change: bool) -> Callable[[str], Node]:
        if not change:
            return lambda by: membership.add(form.cleaned_data["name"], by=by, **form.given())
        return lambda by: membership.change(form.instance.name, by=by, expected=form.expected, **form.given())

    def delete_model(self, request: HttpRequest, obj: Node) -> None:
        membership.remove(obj.name, by=request.user.get_username())


@admin.register(Cluster)
class ClusterAdmin(ThroughVerbs):
    form = ClusterForm
    write_role = roles.ADMIN
    list_display = ("name", "look_interval", "probe_interval", "confirm_seconds")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def verb(self, form: ClusterForm, change: bool) -> Callable[[str], Cluster]:
        return lambda by: cluster.change(by=by, expected=form.expected, **form.given())


@admin.register(Segment)
class SegmentAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("network", "node", "subnet", "declared", "released")
    list_filter = ("network",)
    list_select_related = ("network", "node")


@admin.register(Allocation)
class AllocationAdmin(ThroughVerbs):
    """What services ask for; what containers of others hold, and reservations, are only shown."""

    form = ServiceForm
    list_display = ("__str__", "node", "service", "resource", "container", "state", "why")
    list_filter = ("network", "state")
    list_select_related = ("network", "node")
    search_fields = ("service", "container")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        ours = not isinstance(obj, Allocation) or bool(obj.resource)
        return super().has_change_permission(request, obj) and ours

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        ours = not isinstance(obj, Allocation) or obj.learnt == Learnt.REQUEST
        return super().has_delete_permission(request, obj) and ours

    def verb(self, form: ServiceForm, change: bool) -> Callable[[str], Allocation]:
        if not change:
            return lambda by: allocations.request(form.ask(), by=by)[0]
        return lambda by: allocations.change(form.instance.pk, form.given(), by=by, expected=form.expected)

    def delete_model(self, request: HttpRequest, obj: Allocation) -> None:
        allocations.release(obj.pk, by=request.user.get_username())


@admin.register(Address)
class AddressAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("address", "network", "allocation")
    list_filter = ("network",)
    list_select_related = ("network", "allocation__network")
