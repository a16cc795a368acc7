from django.apps import AppConfig


class NetadminConfig(AppConfig):
    name = "netadmin"
