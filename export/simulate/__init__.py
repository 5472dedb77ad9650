"""Physics where there are no recordings that can be shipped.

Every simulator is a Reader whose INFO.kind is "simulated": what is trained or scored on it says so, and is
never mixed into a real score. All are deterministic from their seed and need numpy alone.
"""
