"""Every address of the control plane."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny

from netadmin import health

urlpatterns = [
    path("api/v1/", include("networks.api.urls")),
    path("api/v1/", include("nodes.api.urls")),
    path("api/v1/schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerView.as_view(permission_classes=[AllowAny]), name="docs"),
    path("healthz", health.healthz),
    path("admin/", admin.site.urls),
]

handler400 = "netadmin.refusals.bad_request"
handler404 = "netadmin.refusals.not_found"
handler500 = "netadmin.refusals.failed"
