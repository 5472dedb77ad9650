"""Recognisers behind the protocol Transcriber, each loaded when it is chosen."""
