"""The agent as an edge node of Sparkplug B 3.0 (docs/sparkplug.md).

Section numbers and `tck-id-...` in these modules are of the Eclipse Sparkplug Specification 3.0.0.
"""
