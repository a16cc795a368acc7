"""Every address of the control plane."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny

from netadmin import health

urlpatterns = [
    path("api/v1/", include("networks.api.urls")),
    path("api/v1/", include("nodes.api.urls")),
    path("api/v1/schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerView.as_view(permission_classes=[AllowAny]), name="docs"),
    path("", include("networks.pages.urls")),
    path("", include("nodes.pages.urls")),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("favicon.ico", RedirectView.as_view(url=static("icon.svg"), permanent=True)),
    path("healthz", health.healthz),
    path("admin/", admin.site.urls),
]

handler400 = "netadmin.refusals.bad_request"
handler404 = "netadmin.refusals.not_found"
handler500 = "netadmin.refusals.failed"
