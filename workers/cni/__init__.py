"""The container network interface: configuration files, plugins, address store."""
