"""Every address of the control plane."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("networks.api.urls")),
    path("admin/", admin.site.urls),
]
