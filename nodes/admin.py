"""The admin of what nodes said and what happened: to be read, as nobody declares it."""

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest

from netadmin import roles
from nodes.models import Event, Report, Token

admin.site.site_header = admin.site.site_title = "netadmin"


class ByRole:
    """Who sees and who changes is a matter of the roles here too."""

    view_role = roles.VIEWER
    write_role = roles.OPERATOR

    def has_module_permission(self, request: HttpRequest) -> bool:
        return roles.has_role(request.user, self.view_role)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return roles.has_role(request.user, self.view_role)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return roles.has_role(request.user, self.write_role)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return roles.has_role(request.user, self.write_role)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return roles.has_role(request.user, self.write_role)


class ReadOnly(ByRole):
    """Rows that only verbs write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("at", "actor", "verb", "kind", "name")
    list_filter = ("kind", "verb")
    search_fields = ("actor", "name")


admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Users are made, and given roles, by ``manage.py user``: so it is among the events."""

    view_role = roles.ADMIN
    fields = ("username", "role", "is_active", "is_staff", "last_login", "date_joined")
    list_display = ("username", "role", "is_active", "last_login")

    @admin.display(description="role")
    def role(self, user: User) -> str:
        return roles.role_of(user) or "none"


@admin.register(Token)
class TokenAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    view_role = roles.ADMIN
    list_display = ("__str__", "description", "created")
    exclude = ("digest",)
    list_select_related = ("user",)


@admin.register(Report)
class ReportAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("node", "received", "outcome", "routes", "milliseconds")
    list_select_related = ("node",)
