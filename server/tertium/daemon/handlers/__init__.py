"""What answers each command: the only rooms that know the protocol's words and the services's both."""
