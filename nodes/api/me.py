"""/api/v1/me/: who asks."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from netadmin import roles


class MeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    role = serializers.CharField(help_text="viewer, operator or admin; empty: none.")


class IsAPerson(BasePermission):
    """Also one without a role, who has to find that out somewhere."""

    message = "Only a person is told who asks."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, AbstractBaseUser)


class MeView(APIView):
    permission_classes = [IsAPerson]

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """The user whose token or session this is, and the role."""
        return Response({"name": request.user.get_username(), "role": roles.role_of(request.user)})
