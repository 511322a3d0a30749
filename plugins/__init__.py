"""The plugins that ship, written as anybody's would be. The plugin manager mounts this folder as `desktop_ft_plugins`."""
