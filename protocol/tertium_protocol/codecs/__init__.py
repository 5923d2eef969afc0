"""The encodings of the messages: OSC, ZeroMQ, and audio buffers."""
