"""The handlers of the commands: the only modules that know both the protocol's messages and the services."""
